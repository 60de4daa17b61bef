"""
The models that are known: what is bundled with the drivers, and what the providers' own lists say.

Nothing is asked for implicitly. A sync asks, compares, and stores what was said; from then on it comes
before what is bundled, in this client at once and in others when they are opened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.catalogue import (
    ModelChanges,
    SyncedProvider,
    SyncReport,
    Verification,
    clean_models,
    compare_models,
    complete_models,
    is_suspicious,
    leave_out,
    was_sent,
)
from tertulia.domain.exchange import Target
from tertulia.domain.model import ModelInfo
from tertulia.errors import (
    ConfigurationError,
    ModelNotFoundError,
    PluginError,
    PluginRejectedError,
    ProtocolError,
    ProviderTimeoutError,
    StoreError,
    TertuliaError,
)
from tertulia.runtime.serialization import decode_model, encode_model
from tertulia.services.core import Core
from tertulia.services.pricing import find_own_price, scale_price
from tertulia.services.routing.targets import parse_target

_log = logging.getLogger("tertulia")


class Models:
    """The catalogue of one client, and the providers that know of it."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._listed: Mapping[str, Sequence[ModelInfo]] = {}

    async def load(self) -> None:
        """Read the catalogue, in one query, and let every provider know; without one all works as well."""
        try:
            await self._read()
        except StoreError as error:
            _log.warning("the catalogue of models cannot be read, so only bundled facts count: %s", error)

    def teach(self, provider: Provider) -> None:
        """Let a provider know what its list said of its models."""
        if listed := self._listed.get(provider.name):
            provider.learn(listed)

    async def get_all(self, names: Iterable[str]) -> list[ModelInfo]:
        """
        List the models of some providers: those that their lists name, else those that are bundled.

        Models that are gone are in it, with their mark.
        """
        await self._read()
        return [info for name in names for info in self._list_one(name)]

    async def get_one(self, text: str) -> ModelInfo:
        """Return what is known of ``provider/model``, or of a provider's default model."""
        target = parse_target(text, self._core.plugins)
        await self._read()
        provider = self._core.plugins.get_provider(target.provider)
        info = provider.find_model(target.model)
        if info is None:
            error = ModelNotFoundError(
                f"provider {provider.name!r}: nothing is known of a model {target.model!r}",
                provider=provider.name,
                model=target.model,
                next_step=provider.suggest_model(target.model) or "ask the provider with sync_models()",
            )
            error.sent = False
            raise error
        if target.model not in (info.id, *info.aliases):
            info = attrs.evolve(info, id=target.model, aliases=())
        return self._price(provider, info)

    async def sync(self, names: Sequence[str], *, dry_run: bool, force: bool) -> SyncReport:
        """Ask some providers for their lists, all at once, and store what they say."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._sync_one(name, dry_run=dry_run, force=force)) for name in names]
        if not dry_run:
            await self.load()
        return SyncReport(tuple(task.result() for task in tasks), dry_run)

    async def verify(self, name: str) -> Verification:
        """Find out whether a provider can be reached and takes the key."""
        provider = self._core.plugins.get_provider(name)
        started = self._core.clock.monotonic()
        error: TertuliaError | None = None
        try:
            async with _patience(provider):
                await provider.verify()
        except TertuliaError as refused:
            error = refused
        except Exception as failure:  # noqa: BLE001  # foreign code: what fails there is what was asked for
            error = _foreign(name, "verify", failure)
        latency = self._core.clock.monotonic() - started
        return Verification(name, latency if was_sent(error) else None, error)

    async def _sync_one(self, name: str, *, dry_run: bool, force: bool) -> SyncedProvider:
        """What fails with one provider is told of it, and harms no other."""
        clock, listed = self._core.clock, None
        started = clock.monotonic()
        changes: ModelChanges | None = None
        error: TertuliaError | None = None
        try:
            listed = await self._ask(name)
            changes = await self._take(name, listed, dry_run=dry_run, force=force)
        except TertuliaError as failure:
            error = failure
        count = None if listed is None else len(listed)
        return SyncedProvider(name, clock.monotonic() - started, count, changes, error)

    async def _ask(self, name: str) -> Sequence[ModelInfo]:
        """The list as it is now, without what the driver only filled in from its own table."""
        provider = self._core.plugins.get_provider(name)
        async with _patience(provider):
            listed = await self._core.plugins.list_models(name)
        models = _check_list(name, listed)
        return [leave_out(info, provider.describe(info.id)) for info in models]

    async def _take(
        self, name: str, listed: Sequence[ModelInfo], *, dry_run: bool, force: bool
    ) -> ModelChanges:
        core = self._core
        known = await core.store.get_models(core.owner, name)
        if not force and is_suspicious(known, listed):
            there = sum(info.gone_at is None for info in known)
            raise ProtocolError(
                f"provider {name!r}: its list has {len(listed)} models, and had {there}",
                provider=name,
                kept="the list before is kept",
                next_step="try again later, or sync with force where it is right",
            )
        now = core.clock.now()
        if dry_run:
            return compare_models(known, listed, now)
        return await core.store.replace_models(core.owner, name, listed, now)

    async def _read(self) -> None:
        listed: dict[str, list[ModelInfo]] = {}
        for info in await self._core.store.get_models(self._core.owner):
            listed.setdefault(info.provider, []).append(info)
        if listed == self._listed:
            return
        self._listed = listed
        for provider in self._core.plugins.providers.values():
            provider.learn(listed.get(provider.name, ()))

    def _list_one(self, name: str) -> Sequence[ModelInfo]:
        listed = self._listed.get(name, ())
        try:
            provider = self._core.plugins.get_provider(name)
        except (ConfigurationError, PluginRejectedError):
            return listed  # without its driver, what its list said is still known
        bundled = provider.bundled_models
        known = complete_models(bundled, listed) if listed else bundled
        return [self._price(provider, info) for info in known]

    def _price(self, provider: Provider, info: ModelInfo) -> ModelInfo:
        """Add what it costs now: as the user says, or as its list or the table says, by the user's factor."""
        now, target = self._core.clock.now(), Target(provider.name, info.id)
        price = find_own_price(self._core.config.prices, target, (info.id,), now)
        if price is None and (listed := provider.find_price(info.id, now)) is not None:
            price = scale_price(listed, provider.config.price_factor)
        return attrs.evolve(info, provider=provider.name, price=price)


@asynccontextmanager
async def _patience(provider: Provider) -> AsyncGenerator[None]:
    """Wait for no provider longer than it may take in all, whatever its driver does."""
    try:
        async with asyncio.timeout(provider.config.timeouts.total):
            yield
    except TimeoutError as error:
        raise ProviderTimeoutError(
            f"provider {provider.name!r} did not answer in time", provider=provider.name
        ) from error


def _check_list(name: str, models: object) -> Sequence[ModelInfo]:
    if isinstance(models, Sequence):
        models = cast("Sequence[object]", models)
        found = [info for info in models if isinstance(info, ModelInfo)]
        if len(found) == len(models):
            return _take_as_kept(name, found)
    raise _misspoken(name, "no sequence of ModelInfo")


def _take_as_kept(name: str, models: Sequence[ModelInfo]) -> Sequence[ModelInfo]:
    """The models as the store gives them back, so that only news is news; what it could not is refused."""
    try:
        return [decode_model(encode_model(info), name, info.id) for info in clean_models(models)]
    except Exception as error:
        raise _misspoken(name, "a model with facts of the wrong type") from error


def _misspoken(name: str, what: str) -> PluginError:
    return PluginError(
        f"list_models of provider {name!r} answered {what}",
        provider=name,
        hook="list_models",
        next_step="correct the driver",
    )


def _foreign(name: str, method: str, error: Exception) -> PluginError:
    return PluginError(
        f"provider {name!r} raised {type(error).__name__} in {method}: {error}",
        provider=name,
        hook=method,
        next_step="a driver raises tertulia.ProviderError only",
    )
