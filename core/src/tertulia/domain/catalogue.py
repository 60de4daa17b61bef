"""The catalogue: what the providers' lists say of their models, and what changes from list to list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import attrs

from tertulia.domain.model import ModelInfo, find_model
from tertulia.domain.price import Price
from tertulia.errors import ProviderError, TertuliaError

SMALL_LIST = 10
"""Models of a list that may change as it likes, as long as it has any."""

_LONGEST_NAME = 200
_COUNTS = ("context_window", "max_input_tokens", "max_output_tokens")
_MOST_TOKENS = 10**12
_MOST_DOLLARS = 10**9
_FINEST = -30
_KEY = frozenset({"provider", "id"})
_FACTS = tuple(field.name for field in attrs.fields(ModelInfo) if field.name not in _KEY)


@attrs.frozen
class ModelChange:
    """
    A model of which a list says something else than the list before.

    Attributes:
        before: As it was.

        after: As it is. One that was gone and is listed again has lost its ``gone_at``.
    """

    before: ModelInfo
    after: ModelInfo

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of :class:`tertulia.ModelInfo` that differ."""
        return tuple(name for name in _FACTS if getattr(self.before, name) != getattr(self.after, name))


@attrs.frozen
class ModelChanges:
    """
    What a provider's list changes in the catalogue.

    Attributes:
        added: Models it never named before.

        changed: Models it says something else of, those that came back included.

        gone: Models it no longer names, marked with when that was seen. They stay in the catalogue: old
            conversations refer to them.
    """

    added: tuple[ModelInfo, ...] = ()
    changed: tuple[ModelChange, ...] = ()
    gone: tuple[ModelInfo, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.gone)


@attrs.frozen
class SyncedProvider:
    """
    What became of one provider in a sync.

    Attributes:
        provider: Its configured name.

        seconds: How long it took.

        model_count: Models in its list; None when the list could not be had.

        changes: What the list changed, or would have changed in a dry run; None when it was not taken.

        error: Why it was not taken, which leaves the catalogue as it was; None when it was.
    """

    provider: str
    seconds: float
    model_count: int | None = None
    changes: ModelChanges | None = None
    error: TertuliaError | None = None


@attrs.frozen
class SyncReport:
    """
    What a sync did.

    Attributes:
        providers: Each provider that was asked, in the order of the configuration.

        dry_run: Whether nothing was written.
    """

    providers: tuple[SyncedProvider, ...]
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        """Whether every list was taken."""
        return all(each.error is None for each in self.providers)


@attrs.frozen
class Verification:
    """
    Whether a provider can be reached and takes the key.

    Attributes:
        provider: Its configured name.

        latency_seconds: How long the service took to answer; None when nothing was sent.

        error: What is wrong; None when all is well.
    """

    provider: str
    latency_seconds: float | None = None
    error: TertuliaError | None = None

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.error is None


def was_sent(error: TertuliaError | None) -> bool:
    """Whether a call may have reached the service, by how it ended."""
    return error is None or (isinstance(error, ProviderError) and error.sent)


def compare_models(known: Iterable[ModelInfo], listed: Iterable[ModelInfo], at: datetime) -> ModelChanges:
    """
    Say what a new list of a provider's models changes.

    Args:
        known: The catalogue of this provider, gone models included.
        listed: The list; of two entries with one id the first counts.
        at: When it was fetched: what is missing from it is gone since then, and a new price holds from that
            day on.
    """
    before = {info.id: info for info in known}
    after: dict[str, ModelInfo] = {}
    for info in listed:
        if info.id not in after:
            after[info.id] = _renew(before.get(info.id), info, at.date())
    return ModelChanges(
        added=tuple(info for name, info in after.items() if name not in before),
        changed=tuple(
            ModelChange(before[name], info)
            for name, info in after.items()
            if name in before and before[name] != info
        ),
        gone=tuple(
            attrs.evolve(info, gone_at=at)
            for name, info in before.items()
            if name not in after and info.gone_at is None
        ),
    )


def is_suspicious(known: Iterable[ModelInfo], listed: Sequence[ModelInfo]) -> bool:
    """
    Whether a list lacks so much that a fault is likelier than the news: all, or more than half of many.

    A small list, such as a server on one's own machine has, may well lose two of its three models.
    """
    there = {info.id for info in known if info.gone_at is None}
    lost = there - {info.id for info in listed}
    return not listed or (len(there) > SMALL_LIST and 2 * len(lost) > len(there))


def clean_models(listed: Iterable[ModelInfo]) -> list[ModelInfo]:
    """
    Take out of a list what cannot be: entries without a usable id, second ones, absurd figures.

    What a service says of one model does no harm to the others; what is left out is not known.
    """
    found: dict[str, ModelInfo] = {}
    for info in listed:
        if _is_name(info.id) and info.id not in found:
            found[info.id] = _clean(info)
    return list(found.values())


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()


def _clean(info: ModelInfo) -> ModelInfo:
    absurd: dict[str, Any] = {name: None for name in _COUNTS if not _is_count(getattr(info, name))}
    price = info.price if info.price is not None and _is_sane(info.price) else None
    return attrs.evolve(info, **absurd, price=price, aliases=tuple(filter(_is_name, info.aliases or ())))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 < value <= _MOST_TOKENS


def _is_sane(price: Price) -> bool:
    cliff = price.long_context
    if cliff is not None and not _is_count(cliff.from_tokens):
        return False
    rows = (price.rates,) if cliff is None else (price.rates, cliff.rates)
    amounts = [amount for rates in rows for amount in attrs.astuple(rates) if amount is not None]
    tables = (price.tiers, price.regions, price.fees, (cliff.tiers or {}) if cliff else {})
    return all(map(_is_amount, [*amounts, *(amount for table in tables for amount in table.values())]))


def _is_amount(amount: object) -> bool:
    """Beyond these places exact arithmetic takes for ever."""
    if not isinstance(amount, Decimal) or not amount.is_finite() or not 0 <= amount <= _MOST_DOLLARS:
        return False
    return int(amount.as_tuple().exponent) >= _FINEST


def leave_out(listed: ModelInfo, bundled: ModelInfo) -> ModelInfo:
    """
    Take out of a listed model what is only the bundled table's word, which drivers fill in.

    So the catalogue keeps what the list itself says, and a better table of a later release counts at once.
    """
    blank = ModelInfo(listed.provider, listed.id)
    same = [name for name in _FACTS if getattr(listed, name) == getattr(bundled, name)]
    return attrs.evolve(listed, **{name: getattr(blank, name) for name in same})


def complete_models(bundled: Sequence[ModelInfo], listed: Sequence[ModelInfo]) -> list[ModelInfo]:
    """
    Fill the gaps of listed models with what is bundled; where both know something the list is right.

    Returns:
        The listed models only, in their order.
    """
    claimed = {name for info in listed for name in (info.id, *info.aliases)}
    named = index_models(bundled)
    return [_complete(info, find_named(named, info.id), claimed) for info in listed]


def index_models(models: Iterable[ModelInfo]) -> Mapping[str, Sequence[ModelInfo]]:
    """Sort models by all their names, for :func:`find_named`."""
    named: dict[str, list[ModelInfo]] = {}
    for info in models:
        for name in (info.id, *info.aliases):
            named.setdefault(name, []).append(info)
    return named


def find_named(named: Mapping[str, Sequence[ModelInfo]], model: str) -> ModelInfo | None:
    """Find what ``find_model`` finds, without a look at every model: a list may have thousands."""
    ends = [place for place, letter in enumerate(model) if letter in "-@"]
    names = (model, *(model[:end] for end in ends))
    return find_model([info for name in names for info in named.get(name, ())], model)


def merge_models(provider: str, bundled: Sequence[ModelInfo], listed: Sequence[ModelInfo]) -> list[ModelInfo]:
    """Return all that is known of a provider's models: the listed ones, then what else is bundled."""
    names = {info.id for info in listed}
    claimed = names.union(*(info.aliases for info in listed))
    return [
        *complete_models(bundled, listed),
        *(
            attrs.evolve(info, provider=provider, aliases=_unclaimed(info, claimed))
            for info in bundled
            if info.id not in names
        ),
    ]


def _renew(before: ModelInfo | None, listed: ModelInfo, day: date) -> ModelInfo:
    """The entry as the catalogue keeps it: not gone, and with the day its price was first seen."""
    price = listed.price
    if price is not None:
        price = attrs.evolve(price, id=f"{price.id}/{day}", valid_from=day, read_on=day)
        if before is not None and before.price is not None and _is_same(before.price, price):
            price = before.price
    return attrs.evolve(listed, price=price, gone_at=None)


def _is_same(before: Price, after: Price) -> bool:
    """Whether a price is the same but for the day it was read."""
    return before == attrs.evolve(after, id=before.id, valid_from=before.valid_from, read_on=before.read_on)


def _complete(listed: ModelInfo, bundled: ModelInfo | None, claimed: set[str]) -> ModelInfo:
    if bundled is None:
        return listed
    blank = ModelInfo(listed.provider, listed.id)
    silent = (name for name in _FACTS if getattr(listed, name) == getattr(blank, name))
    gaps: dict[str, Any] = {name: getattr(bundled, name) for name in silent}
    if "aliases" in gaps:
        gaps["aliases"] = _unclaimed(bundled, claimed) if bundled.id == listed.id else ()
    return attrs.evolve(listed, **gaps)


def _unclaimed(bundled: ModelInfo, claimed: set[str]) -> tuple[str, ...]:
    """A name that wanders, such as ``grok-latest``, belongs to the model that the list gives it to."""
    return tuple(name for name in bundled.aliases if name not in claimed)
