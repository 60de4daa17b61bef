"""What a request will cost before it is sent: the way of a send as far as the socket, then the prices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.context import Context
from tertulia.domain.conversation import Attempt
from tertulia.domain.estimate import CostEstimate
from tertulia.domain.exchange import Request, Target
from tertulia.domain.message import Message, Role, Text
from tertulia.domain.options import Options
from tertulia.domain.usage import Billing, Cost, Usage
from tertulia.errors import (
    BranchError,
    ConfigurationError,
    DriverNotInstalledError,
    PluginError,
    PluginRejectedError,
)
from tertulia.runtime.attachments import Attachable, load_attachments
from tertulia.services.asking import Outgoing, find_timeouts, make_request
from tertulia.services.core import Core
from tertulia.services.counting import correct_estimate
from tertulia.services.pricing import compute_cost, is_amount
from tertulia.services.questions import NewQuestion, Question
from tertulia.services.tree import Line, Tree

_log = logging.getLogger("tertulia")

_LOOK_BACK = 32

TYPICAL_ANSWER = 1_000
"""Tokens of an answer, to compare prices by."""


async def estimate_next(
    core: Core,
    tree: Tree,
    line: Line,
    outgoing: Outgoing,
    *,
    text: str,
    attached: Attachable | Sequence[Attachable],
) -> CostEstimate:
    """
    Estimate what it will cost to say something next on a branch; nothing is stored, no provider is asked.

    Errors are those of a send before its socket: an option that is unknown, what does not fit.
    """
    looking = look_ahead(core, tree, line, outgoing, text=text, attached=attached)
    request, context, warnings = await looking
    estimate = price_prompt(core, request, context.report.tokens)
    return attrs.evolve(estimate, warnings=tuple(warnings))


async def look_ahead(
    core: Core,
    tree: Tree,
    line: Line,
    outgoing: Outgoing,
    *,
    text: str | None,
    attached: Attachable | Sequence[Attachable],
) -> tuple[Request, Context, list[str]]:
    """
    Make the request that would be sent next on a branch; nothing is stored, no provider is asked.

    What a send under way remembers of the branch stays as it is.

    Args:
        text: What would be said; None for the newest user message, which would be asked again.

    Raises:
        BranchError: Nobody has said anything, and nothing is said now.
    """
    target = outgoing.targets[0]
    patience = find_timeouts(core, outgoing, target).total
    async with line.looking:
        here = Line(line.branch, path=line.aside)
        question: Question
        if text is None:
            question = _Asked(core, tree, here, _stay)
        else:
            question = NewQuestion(core, tree, here, _stay, text=text, attached=attached)
        await question.place()
        deadline = asyncio.get_running_loop().time() + patience
        looking = attrs.evolve(outgoing, may_ask=False)
        return await make_request(core, looking, question, target=target, deadline=deadline)


class _Asked(Question):
    """The newest user message of a branch, as if it were asked again."""

    async def place(self) -> None:
        """Find it."""
        core, limit = self.core, _LOOK_BACK
        while True:
            found = await core.store.get_messages(core.owner, self.tree.id, self.line.name, limit=limit)
            said = [message for message in found if message.role is Role.USER]
            if said:
                self.message = said[-1]
                return
            if len(found) < limit:
                break
            limit *= 2
        raise BranchError(
            f"nobody has said anything on branch {self.line.name!r} yet, so there is nothing to look at",
            branch=self.line.name,
            next_step="say what would be asked",
        )

    async def write_ahead(self, attempt: Attempt) -> Attempt:
        """Nothing is asked."""
        return attempt


async def estimate_first(
    core: Core,
    targets: Iterable[Target],
    text: str,
    *,
    system: str | None,
    attached: Attachable | Sequence[Attachable],
    options: Options,
    answer_tokens: int | None = None,
) -> list[CostEstimate]:
    """
    Estimate for each target what a conversation that begins with a text will cost.

    Args:
        answer_tokens: The length of the answer where the options allow any; None for each model's longest.
    """
    await core.recall_calibration()
    media = () if attached in ((), []) else await asyncio.to_thread(load_attachments, attached)
    opening = [] if system is None else [Message.of(Role.SYSTEM, system)]
    messages = (*opening, Message(Role.USER, (*media, Text(text)) if text else media))
    return [
        price_prompt(
            core,
            Request(target, messages, _allow(core, target, options, answer_tokens)),
            core.plugins.count_tokens(target, messages),
        )
        for target in targets
    ]


def price_prompt(core: Core, request: Request, messages_tokens: int) -> CostEstimate:
    """Say between what and what a request with such messages costs at the prices of this moment."""
    target, options = request.target, request.options
    tokens = correct_estimate(core, request, messages_tokens=messages_tokens)
    provider = core.plugins.get_provider(target.provider)
    longest = options.max_output_tokens or _find_longest(provider, target.model, tokens)
    billing = Billing(service_tier=options.service_tier, region=provider.region)
    at = core.clock.now()
    was_sent = any(message.role is Role.ASSISTANT for message in request.messages)

    def price(usages: Iterable[Usage]) -> Iterator[Cost]:
        for usage in usages:
            if (cost := _price(core, target, usage, billing, at)) is not None:
                yield cost

    outside, cached = Usage(tokens, 0, 0, 1, 0), Usage(0, tokens, 0, 1, 0)
    low = list(price((outside, cached) if was_sent else (outside,)))
    high = [] if longest is None else list(price(_at_most(tokens, longest)))
    return CostEstimate(
        target, tokens, longest, min(low, key=_pico, default=None), max(high, key=_pico, default=None)
    )


def find_priced(core: Core, names: Iterable[str]) -> list[Target]:
    """List the models of the configured providers for which a price is known today, in their order."""
    found: dict[Target, None] = {}
    for name in names:
        try:
            provider = core.plugins.get_provider(name)
        except (ConfigurationError, DriverNotInstalledError, PluginRejectedError):
            continue  # who cannot answer has no price
        own = (price.model.partition("/") for price in core.config.prices)
        listed = (info.id for info in provider.models if info.gone_at is None)
        models = (*listed, *(model for owner, _, model in own if owner == name))
        found |= {Target(name, model): None for model in models if _has_price(core, Target(name, model))}
    return list(found)


def _has_price(core: Core, target: Target) -> bool:
    return _price(core, target, Usage(1, 0, 0, 1, 0), Billing(), core.clock.now()) is not None


def _price(core: Core, target: Target, usage: Usage, billing: Billing, at: datetime) -> Cost | None:
    """What a plugin fails at, or answers with no amount of money, is unknown, as it is after an answer."""
    try:
        cost = compute_cost(core, target, usage, billing, at)
    except PluginError as error:
        _log.warning("what %s costs cannot be estimated: %s", target, error)
        return None
    return cost if cost is not None and is_amount(cost.money) else None


def _at_most(tokens: int, longest: int) -> tuple[Usage, Usage]:
    """The dearest prompts there can be: outside caches, and written to one where that has a price."""
    return Usage(tokens, 0, 0, longest, 0), Usage(0, 0, tokens, longest, 0)


def _allow(core: Core, target: Target, options: Options, answer_tokens: int | None) -> Options:
    """The options, with a length for the answer where they have none and one is given."""
    if options.max_output_tokens is not None or answer_tokens is None:
        return options
    longest = _find_longest(core.plugins.get_provider(target.provider), target.model, 0)
    return attrs.evolve(options, max_output_tokens=min(answer_tokens, longest or answer_tokens))


def _find_longest(provider: Provider, model: str, prompt: int) -> int | None:
    """The longest answer of a model; without a limit of its own it ends where the window does."""
    info = provider.find_model(model)
    if info is None or info.max_output_tokens is not None or info.context_window is None:
        return None if info is None else info.max_output_tokens
    return max(1, info.context_window - prompt)


def _pico(cost: Cost) -> int:
    return cost.money.pico


def _stay(line: Line) -> None:
    """Nobody moves: nothing is asked."""
