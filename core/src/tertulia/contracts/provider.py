"""What a provider is."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar

import attrs

from tertulia.domain.catalogue import find_named, index_models, merge_models
from tertulia.domain.config import ProviderConfig
from tertulia.domain.exchange import Delta, Request
from tertulia.domain.model import Capability, MediaLimits, ModelInfo, find_model
from tertulia.domain.price import Price, Rates, find_day, find_price
from tertulia.domain.tokens import TokenWeights
from tertulia.domain.usage import Billing, Cost, Usage
from tertulia.errors import ConfigurationError

_NEEDED = {
    "tools": Capability.TOOLS,
    "response_schema": Capability.STRUCTURED_OUTPUT,
    "reasoning_effort": Capability.REASONING,
    "reasoning_summary": Capability.REASONING,
    **dict.fromkeys(
        ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"), Capability.SAMPLING
    ),
}
"""What a model has to be able to do for an option to make sense."""


class Provider(ABC):
    """
    A configured service that answers.

    Subclass it (or :class:`tertulia.HTTPProvider`) and name the subclass as an entry point of the group
    ``tertulia.providers``: that makes it a *driver*. One instance is made for each configured name. A
    provider keeps no state of any conversation; whatever it needs is in the request.

    Attributes:
        DEFAULT_MODEL: The model to ask for when nobody names one.

        OPTIONS: Names of the fields of :class:`tertulia.Options` it can send; and ``tools``, ``hosted_tools``
            and ``response_schema``, where it can send those of a request.

        SETTINGS: Names of the settings, beyond the common ones, that its configuration may have.

        KEY_VARIABLES: Environment variables its key is read from, the first that is set.

        MODELS: Bundled facts about its models.

        PRICES: Dated price rows.

        IMAGES: The images it takes; None when it takes none.

        DOCUMENTS: The documents it takes; None when it takes none.

        AUDIO: The sound it takes; None when it takes none.

        VIDEO: The films it takes; None when it takes none.

        TOKEN_WEIGHTS: How it counts tokens besides those of words, for estimates.

        COUNTS_WHOLE_PROMPT: Whether what the service counts is the prompt to the last token, with nothing
            of it estimated.

        name: Its name in this configuration.
    """

    TERTULIA_API: ClassVar[int] = 1
    DEFAULT_MODEL: ClassVar[str]
    OPTIONS: frozenset[str] = frozenset()
    SETTINGS: ClassVar[frozenset[str]] = frozenset()
    KEY_VARIABLES: ClassVar[tuple[str, ...]] = ()
    COUNTS_WHOLE_PROMPT: ClassVar[bool] = True
    MODELS: ClassVar[Sequence[ModelInfo]] = ()
    PRICES: ClassVar[Sequence[Price]] = ()
    IMAGES: MediaLimits | None = None
    DOCUMENTS: MediaLimits | None = None
    AUDIO: MediaLimits | None = None
    VIDEO: MediaLimits | None = None
    TOKEN_WEIGHTS: TokenWeights = TokenWeights()

    def __init__(self, config: ProviderConfig) -> None:
        # Before anything is refused: whoever reads the traceback wants to know which provider it is.
        self.name = config.name
        self.config = config
        self._listed: tuple[ModelInfo, ...] = ()
        self._models: Sequence[ModelInfo] | None = None
        self._named: Mapping[str, Sequence[ModelInfo]] | None = None
        self._found: dict[str, ModelInfo | None] = {}
        unknown = sorted(set(config.settings) - self.SETTINGS)
        if unknown:
            close = difflib.get_close_matches(unknown[0], self.SETTINGS, n=1)
            known = ", ".join(sorted(self.SETTINGS)) or "none"
            raise ConfigurationError(
                f"provider {config.name!r}: driver {config.driver!r} has no setting {unknown[0]!r}",
                provider=config.name,
                value=unknown[0],
                next_step=f"did you mean {close[0]!r}?" if close else f"its own settings are: {known}",
            )

    @property
    def default_model(self) -> str:
        """
        The model to ask for when nobody names one: the configured one, else the driver's.

        Raises:
            ConfigurationError: There is neither.
        """
        model = self.config.model or getattr(self, "DEFAULT_MODEL", None)
        if not model:
            raise ConfigurationError(
                f"provider {self.name!r}: no model is named, and {type(self).__name__} has no DEFAULT_MODEL",
                provider=self.name,
                next_step="name a model, or set one for the provider",
            )
        return model

    @abstractmethod
    def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """
        Send a request and yield the answer: see the hook of the same name.

        Usually an ``async def`` with ``yield``.

        Raises:
            ProviderError: Whatever went wrong, as one of the closed list of kinds.
        """

    @abstractmethod
    async def list_models(self) -> Sequence[ModelInfo]:
        """
        Ask which models there are, now.

        Raises:
            ProviderError: The list could not be had; a failure never reads as an empty list.
        """

    def calculate_cost(self, model: str, usage: Usage, billing: Billing, at: datetime) -> Cost | None:
        """Price a usage by the dated rows; None when no row, or no count, is known."""
        price = self.find_price(model, at)
        return None if price is None else price.cost(usage, billing)

    def find_price(self, model: str, at: datetime) -> Price | None:
        """
        Return the row that prices a model at a moment; None when none does.

        Where the provider's own list and the bundled table differ, the one that holds since later is right;
        what a list does not tell, the factors of tiers and regions and the fees of tools, is the table's.
        """
        day = find_day(at)
        bundled, info = find_price(self.bundled_prices, model, day), self.find_model(model)
        listed = None if info is None else info.price
        if listed is None or not listed.is_valid(day):
            return bundled
        if bundled is None:
            return listed
        return _renew(bundled, listed) if _differs_since(bundled, listed) else bundled

    @property
    def vendor(self) -> str | None:
        """The driver's name, where its vendor is who answers and charges; None where that is not known."""
        return self.config.driver

    @property
    def region(self) -> str | None:
        """The region whose own host it asks, as ``Price.regions`` calls it; None at the general host."""
        return None

    @property
    def bundled_models(self) -> Sequence[ModelInfo]:
        """The facts that come with the driver and hold for this configuration: all by default."""
        return self.MODELS

    @property
    def bundled_prices(self) -> Sequence[Price]:
        """The price rows that come with the driver and hold for this configuration: all by default."""
        return self.PRICES

    @property
    def models(self) -> Sequence[ModelInfo]:
        """All that is known of its models: what its list said at the last sync, and what is bundled."""
        if self._models is None:
            self._models = merge_models(self.name, self.bundled_models, self._listed)
        return self._models

    def learn(self, models: Sequence[ModelInfo]) -> None:
        """Take over the catalogue's entries of its models: from now on they come before what is bundled."""
        self._listed = tuple(models)
        self._models = self._named = None
        self._found.clear()

    def find_model(self, model: str) -> ModelInfo | None:
        """Return what is known of a model; None for one that nobody has told of."""
        if model not in self._found:
            if self._named is None:
                self._named = index_models(self.models)
            self._found[model] = find_named(self._named, model)
        return self._found[model]

    def find_token_weights(self, model: str) -> TokenWeights:
        """Return how a model counts tokens besides those of words; asked for each message that is counted."""
        return self.TOKEN_WEIGHTS

    def can(self, model: str, capability: Capability) -> bool:
        """Say whether a model is known to do something; of an unknown model nothing is known."""
        info = self.find_model(model)
        return info is not None and capability in (info.capabilities or ())

    def describe(self, model: str) -> ModelInfo:
        """Return the bundled facts about a model under its own name; unknown facts are None."""
        info = find_model(self.bundled_models, model)
        if info is None:
            return ModelInfo(self.name, model)
        return attrs.evolve(
            info, provider=self.name, id=model, aliases=() if info.id != model else info.aliases
        )

    def suggest_model(self, model: str) -> str | None:
        """Say what to ask for instead of a model that is not there; None where nothing is known."""
        info = self.find_model(model)
        if info is not None and info.successor is not None:
            return f"use {info.successor!r}, which takes its place"
        known = [each.id for each in self.models if each.gone_at is None and each.id != model]
        if close := difflib.get_close_matches(model, known, n=1):
            return f"did you mean {close[0]!r}?"
        return f"choose another, for example {known[0]!r}" if known else None

    def find_refusal(self, request: Request, option: str, value: object) -> str | None:
        """
        Say why a model is known to refuse an option, so that nothing is sent that is certain to fail.

        Args:
            request: What will be asked, with all that is set: whether a model takes one option may depend on
                another. Its messages are not chosen yet.
            option: A field of :class:`tertulia.Options`, or ``tools``, ``hosted_tools``, ``response_schema``.
            value: What it is set to.

        Returns:
            A reason such as ``"o3 takes low, medium or high"``; None where it is not known to refuse it.
        """
        if option == "tool_choice" and _names_no_tool(request, value):
            return f"the request has no tool {value!r}"
        model = request.target.model
        info = self.find_model(model)
        if info is None:
            return None
        if option in info.refused_options:
            return f"{model} refuses it"
        efforts = info.reasoning_efforts
        if option == "reasoning_effort" and efforts is not None and value not in efforts:
            return f"{model} takes {', '.join(efforts)}" if efforts else f"{model} takes none"
        needed = _NEEDED.get(option)
        if needed is not None and info.capabilities is not None and needed not in info.capabilities:
            return f"{model} has no {needed.replace('_', ' ')}"
        return None

    async def count_input_tokens(self, request: Request) -> int | None:
        """
        Ask the service how many tokens a request is, without having it answered.

        Returns:
            None where the service cannot be asked.

        Raises:
            ProviderError: It could not be had.
        """
        return None

    async def verify(self) -> None:
        """
        Find out whether the service can be reached and takes the key, at no cost.

        Raises:
            ProviderError: It cannot, or does not.
        """
        await self.list_models()

    async def aclose(self) -> None:  # noqa: B027  # most providers hold nothing
        """Let go of whatever is held; called once, when the client closes."""

    def __repr__(self) -> str:
        # A subclass may fail before it comes to our __init__, and a traceback shows it all the same.
        return f"<{type(self).__name__} {getattr(self, 'name', None)!r}>"


def _renew(bundled: Price, listed: Price) -> Price:
    """A bundled row at the rates of a list; factors and fees that a list is silent on stay as they are."""
    told: dict[str, Any] = {
        name: getattr(listed, name) or getattr(bundled, name) for name in ("tiers", "regions", "fees")
    }
    cliff, before = listed.long_context, bundled.long_context
    if before is not None and cliff is None:
        # A list that is silent on it does not say that long requests cost no more.
        cliff = attrs.evolve(before, rates=Rates(None, None))
    elif before is not None and cliff is not None and cliff.tiers is None:
        cliff = attrs.evolve(cliff, tiers=before.tiers)
    return attrs.evolve(listed, **told, long_context=cliff)


def _names_no_tool(request: Request, choice: object) -> bool:
    """Whether a choice is the name of none of the tools; without any tool it means nothing."""
    names = {"auto", "none", "required", *(tool.name for tool in request.tools)}
    return bool(request.tools) and choice not in names


def _differs_since(bundled: Price, listed: Price) -> bool:
    if bundled.rates == listed.rates and _has_cliff_of(bundled, listed):
        return False
    return (listed.valid_from or date.min) >= (bundled.valid_from or date.min)


def _has_cliff_of(bundled: Price, listed: Price) -> bool:
    """Whether a list says the same of long requests, or nothing."""
    cliff, before = listed.long_context, bundled.long_context
    if cliff is None or before is None:
        return cliff is None
    return (cliff.from_tokens, cliff.rates) == (before.from_tokens, before.rates)
