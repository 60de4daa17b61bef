"""Who is to answer, the real services or simulated ones, and where it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import attrs

import tertulia
from tertulia_cli.opening import IN_MEMORY, refuse_missing
from tertulia_cli.terminal import note

if TYPE_CHECKING:
    from tertulia_simulator import Simulator


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
    """

    provider: str | None = None
    model: str | None = None
    fallback: Sequence[str] | None = None
    store: str | None = None
    simulator: bool = False
    conversation: str | None = None

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
        environ={} if plugins is None else {"TERTULIA_PLUGINS": ",".join(plugins)},
    )
