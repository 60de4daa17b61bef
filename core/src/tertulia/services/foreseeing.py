"""What a conversation would ask of providers, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from tertulia.domain.context import Context, ContextOptions
from tertulia.domain.estimate import CostEstimate
from tertulia.domain.exchange import Target
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.routing import Routing, make_routing
from tertulia.runtime.attachments import Attachable
from tertulia.services.arguments import (
    Amount,
    check_amount,
    check_context_options,
    check_options,
    check_target,
    check_text,
    check_type,
    make_plan,
)
from tertulia.services.asking import Outgoing
from tertulia.services.branching import Branching
from tertulia.services.budgets import Spending
from tertulia.services.estimating import estimate_next, look_ahead
from tertulia.services.routing.targets import make_targets
from tertulia.services.steps import MAX_STEPS, Plan
from tertulia.services.structured import Schema
from tertulia.services.tooling import AnyTool


class Foreseeing(Branching):
    """A conversation that knows what it would ask for, of whom, and what that would hold and cost."""

    async def estimate_cost(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        schema: Schema | None = None,
        options: Options = Options(),
        context: ContextOptions | None = None,
    ) -> CostEstimate:
        """
        Estimate between what and what it would cost to say something now, with all that goes along with it.

        Nothing is stored and no provider is asked. What is estimated is one answer: where it calls tools,
        the next one has its own cost. Errors are those of :meth:`send` before anything is sent.
        """
        check_text(text, attach)
        plan = make_plan(tools, MAX_STEPS, schema)
        outgoing = self._outgoing(plan, options, (), None, None, None, context, stream=False)
        return await estimate_next(self._core, self._tree, self._line, outgoing, text=text, attached=attach)

    async def preview_context(
        self,
        text: str | None = None,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        provider: str | None = None,
        model: str | None = None,
        tools: Sequence[AnyTool] = (),
        schema: Schema | None = None,
        options: Options = Options(),
        context: ContextOptions | None = None,
    ) -> Context:
        """
        Show what a provider would get to see, and why; nothing is stored and no provider is asked.

        Args:
            text: What would be said next; None for the newest user message, as if it were asked again.
            provider: Who would be asked; None for the conversation's own.
            model: None for the provider's default, or the conversation's own.

        Returns:
            The messages as they would be sent, and the report on them.

        Raises:
            BranchError: Nobody has said anything yet, and nothing is said now.
            ContextOverflowError: What must be sent does not fit.
        """
        if text is not None:
            check_text(text, attach)
        check_target(provider, model)
        plan = make_plan(tools, MAX_STEPS, schema)
        outgoing = self._outgoing(plan, options, (), None, None, None, context, stream=False)
        if provider is not None or model is not None:
            name = provider or self.provider
            target = Target(name, model or self._core.plugins.get_provider(name).default_model)
            outgoing = attrs.evolve(outgoing, targets=(target,))
        looking = look_ahead(self._core, self._tree, self._line, outgoing, text=text, attached=attach)
        _, chosen, _ = await looking
        return chosen

    def _outgoing(
        self,
        plan: Plan,
        options: Options,
        fallback: Sequence[str] | None,
        timeouts: Timeouts | None,
        routing: Routing | None,
        budget: Amount | None,
        context: ContextOptions | None,
        *,
        stream: bool = True,
    ) -> Outgoing:
        own = Target(self.provider, self.model)
        targets, notes = make_targets(own, fallback, self._core.config, self._core.plugins)
        outgoing = self._outgoing_to(
            targets, plan, options, timeouts, routing, budget, context, stream=stream, notes=tuple(notes)
        )
        return outgoing if own in targets else attrs.evolve(outgoing, own=own)

    def _outgoing_to(
        self,
        targets: Sequence[Target],
        plan: Plan,
        options: Options,
        timeouts: Timeouts | None,
        routing: Routing | None,
        budget: Amount | None,
        context: ContextOptions | None,
        *,
        stream: bool = True,
        notes: tuple[str, ...] = (),
    ) -> Outgoing:
        core = self._core
        check_options(options, core.config.providers.keys() | core.plugins.providers.keys())
        if timeouts is not None:
            check_type("timeouts", timeouts, Timeouts)
        if routing is not None:
            check_type("routing", routing, Routing)
        if context is not None:
            check_context_options(context, core.plugins)
        limit = check_amount(budget)
        return Outgoing(
            targets,
            options,
            timeouts,
            stream,
            plan.toolbox.offered,
            None if plan.shape is None else plan.shape.schema,
            make_routing(routing, core.config.routing),
            Spending(core, self.id, limit) if limit is not None or core.config.budgets else None,
            notes,
            context=self._tree.context if context is None else context.over(self._tree.context),
        )
