"""Who is to answer, the real services or simulated ones, and where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import attrs
import click

import tertulia
from tertulia_cli.finding import find_conversation
from tertulia_cli.opening import IN_MEMORY, refuse_missing
from tertulia_cli.terminal import note

if TYPE_CHECKING:
    from tertulia_simulator import Simulator


_CONTEXT = ("strategy", "recall", "max_recall_tokens", "reserve_tokens", "optimise")


@attrs.frozen
class Access:
    """
    What a command's options say.

    Attributes:
        provider: Who answers; None for the default.

        model: None for the provider's own.

        fallback: ``provider`` or ``provider/model`` in order; None for the configured ones.

        store: None for the configured one.

        simulator: Whether to ask simulated services.

        conversation: What to go on with; None for something new.

        strategy: Which target is asked first; None for the configured one.

        on_interrupt: What becomes of an answer that breaks off; None for what is configured.

        budget: What one answer may cost; None for any amount.

        max_output_tokens: How long one may be; None for as long as the model makes them.

        context: How what is sent is chosen; None for what is set.

        explains: Whether to say what was sent.
    """

    provider: str | None = None
    model: str | None = None
    fallback: Sequence[str] | None = None
    store: str | None = None
    simulator: bool = False
    conversation: str | None = None
    strategy: str | None = None
    on_interrupt: str | None = None
    budget: tertulia.Money | None = None
    max_output_tokens: int | None = None
    context: tertulia.ContextOptions | None = None
    explains: bool = False

    def asking(self) -> dict[str, Any]:
        """The keywords with which a conversation is asked for an answer."""
        asked = {"fallback": self.fallback, **self.bounds()}
        if self.strategy is not None or self.on_interrupt is not None:
            asked["routing"] = tertulia.Routing(strategy=self.strategy, on_interrupt=self.on_interrupt)
        return asked

    def bounds(self) -> dict[str, Any]:
        """Those of them that say how much an answer may cost, how long it may be, and what is sent."""
        return {
            "budget": self.budget,
            "options": tertulia.Options(max_output_tokens=self.max_output_tokens),
            "context": self.context,
        }

    @property
    def is_particular(self) -> bool:
        """Whether it says whom to ask, or where: then nobody else is asked instead."""
        return any((self.provider, self.model, self.fallback, self.conversation))


@attrs.frozen
class Opened:
    """
    A client, and what a person wants to know of it.

    Attributes:
        is_kept: Whether what is said outlives the command.
    """

    client: tertulia.Client
    is_kept: bool


def read_budget(text: str | None) -> tertulia.Money | None:
    """
    Read how many dollars may be spent, as somebody types it.

    Raises:
        click.UsageError: It is no amount, or nothing.
    """
    if text is None:
        return None
    try:
        money = tertulia.Money.from_usd(text.strip().removeprefix("$"))
    except (ValueError, TypeError):
        money = None
    if money is None or money.pico <= 0:
        raise click.UsageError(f"--budget {text!r} is no number of dollars above 0: write 0.05.")
    return money


async def take_up(client: tertulia.Client, access: Access, branch: str | None) -> tertulia.Conversation:
    """Go on with a stored conversation, on another branch and with another provider if that is asked for."""
    found = await find_conversation(client, access.conversation or "")
    conversation = await client.get(found)
    if branch is not None:
        await conversation.switch_branch(branch)
    if access.provider is not None or access.model is not None:
        await conversation.switch(access.provider or conversation.provider, access.model)
    return conversation


async def open_client(access: Access, stack: AsyncExitStack) -> Opened:
    """
    Open the client that a command needs, and say so where its services are simulated.

    They are simulated where that is asked for, and where nobody could answer otherwise: nothing that is set
    is about providers, keys included, no installed driver can do without a key, and the command names
    neither a provider, a model, a fallback nor a conversation. Simulated services keep what is said in
    memory, unless a store is named.

    Args:
        stack: Closes it.
    """
    if access.conversation is not None and access.store is not None:
        refuse_missing(access.store)
    settings = tertulia.read_settings()
    values = {setting.key: setting.value for setting in settings}
    alone = not access.simulator and not access.is_particular and await _is_alone(settings)
    if access.simulator or alone:
        store = access.store or IN_MEMORY
        simulator = await _start_simulator(stack)
        note(_explain(simulator, store, is_alone=alone), label="simulator")
        client = _open_simulated(access, simulator, store, values)
    else:
        store = access.store or values["store"]
        # The names also here, so that an unknown one is refused before anything is stored.
        client = tertulia.open(store=access.store, default_provider=access.provider, fallback=access.fallback)
    return Opened(await stack.enter_async_context(client), store != IN_MEMORY)


async def _is_alone(settings: Sequence[tertulia.Setting]) -> bool:
    """Whether nobody can answer, and nobody has been told who should."""
    if any(setting.origin != "default" for setting in settings if _is_about_providers(setting.key)):
        return False
    # A client that knows of no key: does anybody answer all the same?
    async with tertulia.open(store=IN_MEMORY, environ={"TERTULIA_PLUGINS": ""}) as client:
        if not client.providers:
            return False
        try:
            await client.start()
        except tertulia.ConfigurationError:
            return True
        except tertulia.TertuliaError:
            pass
    return False


def _is_about_providers(key: str) -> bool:
    return key in ("default_provider", "fallback") or key.startswith("providers.")


async def _start_simulator(stack: AsyncExitStack) -> Simulator:
    from tertulia_simulator import Simulator

    return await stack.enter_async_context(Simulator())


def _explain(simulator: Simulator, store: str, *, is_alone: bool) -> str:
    if not is_alone:
        return f"no key, no bill: the services are simulated at {simulator.url}"
    kept = " and nothing is kept" if store == IN_MEMORY else ""
    variables = "OPENAI_API_KEY, GEMINI_API_KEY or XAI_API_KEY"
    return f"no key is set, so the services are simulated{kept}; set {variables} to talk to the real ones"


def _open_simulated(
    access: Access, simulator: Simulator, store: str, values: Mapping[str, Any]
) -> tertulia.Client:
    """A client of the simulated services, with whatever is set that is not about the real ones."""
    plugins = values["plugins"]
    return tertulia.open(
        store=store,
        providers=simulator.providers(),
        default_provider=access.provider,
        fallback=access.fallback,
        owner=values["owner"],
        max_context_tokens=values["conversation.max_context_tokens"],
        context_window=values["conversation.context_window"],
        # Not what is set for the real models, nor which of them writes summaries.
        context={name: values[f"context.{name}"] for name in _CONTEXT},
        routing={name: values[f"routing.{name}"] for name in attrs.fields_dict(tertulia.Routing)},
        environ={} if plugins is None else {"TERTULIA_PLUGINS": ",".join(plugins)},
    )
