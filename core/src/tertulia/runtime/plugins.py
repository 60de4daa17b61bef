"""
The one module that talks to the plugin system.

Every plugin is registered with one manager; what is special is how hooks are called. A provider's hooks
are *addressed*: the call is made on a caller that leaves all other providers out, so nobody sees a
message that is not theirs and an error always has an owner.
"""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, cast

import attrs
import pluggy

from tertulia.contracts.context import ContextView
from tertulia.contracts.hookspecs import API_VERSION, DEFER, PROJECT, HookSpecifications, hookimpl
from tertulia.contracts.provider import Provider
from tertulia.contracts.store import Store
from tertulia.domain.context import Candidate, Context, Window
from tertulia.domain.exchange import Delta, Request, Target
from tertulia.domain.message import Message
from tertulia.domain.model import ModelInfo
from tertulia.domain.notice import Notice
from tertulia.domain.usage import Billing, Cost, Usage
from tertulia.errors import (
    ConfigurationError,
    ErrorKind,
    PluginError,
    PluginRejectedError,
    TertuliaError,
)
from tertulia.runtime.drivers import installed_drivers, rejected
from tertulia.runtime.plugin_answers import (
    explain_failure,
    keep_known,
    read_scores,
    refuse_answer,
)

PLUGIN_GROUP = "tertulia.plugins"

_log = logging.getLogger("tertulia")
_ASYNC_ALLOWED = frozenset({"format_context", "rank_messages", "summarise"})
_innermost: ContextVar[list[AsyncIterator[Delta]]] = ContextVar("innermost")


@attrs.frozen
class PluginReport:
    """
    What became of one plugin, for ``tertulia plugins``.

    Attributes:
        name: The entry point's or the registered name.

        kind: ``driver`` for an entry point that brings a provider, ``provider`` for a configured one.

        distribution: The installed package that brings it, with its version; None for objects.

        status: ``available`` is installed and not loaded, which happens on first use.

        reason: Why it was refused; None unless it was.
    """

    name: str
    kind: Literal["driver", "provider", "plugin"]
    distribution: str | None
    status: Literal["available", "loaded", "refused"]
    reason: str | None = None


class _Manager(pluggy.PluginManager):
    """Tells pluggy which methods are hooks, and in which order they stand."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self.add_hookspecs(HookSpecifications)
        self.hook_names = frozenset(name for name in vars(HookSpecifications) if not name.startswith("_"))

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if isinstance(plugin, Provider):
            return _options() if name in self.hook_names else None
        options = super().parse_hookimpl_opts(plugin, name)
        if options is not None and not isinstance(plugin, _Keeper | CoreDefaults) and not options["wrapper"]:
            options["tryfirst"] = True  # an override answers before the provider, whoever came first
        return options


def _options() -> pluggy.HookimplOpts:
    return {
        "wrapper": False,
        "hookwrapper": False,
        "optionalhook": False,
        "tryfirst": False,
        "trylast": False,
        "specname": None,
    }


class _Keeper:
    """Keeps hold of the provider's own iterator, which a careless wrapper around it would leave open."""

    @hookimpl(wrapper=True, trylast=True)
    def send_message(self) -> Generator[None, Any, AsyncIterator[Delta] | None]:
        iterator: AsyncIterator[Delta] | None = yield
        if (kept := _innermost.get(None)) is not None and iterator is not None:
            kept.append(iterator)
        return iterator


class CoreDefaults:
    """
    The base of the plugin that answers when nobody else does.

    Its hooks are marked ``trylast``.
    """


class Plugins:
    """
    All plugins of one client.

    Args:
        defaults: The core's own answers.
        make_provider: Builds a configured provider on first use; UnknownProviderError when there is none.
    """

    def __init__(self, defaults: CoreDefaults, make_provider: Callable[[str], Provider]) -> None:
        self._manager = _Manager()
        self._manager.register(_Keeper(), "tertulia.keeper")
        self._manager.register(defaults, "tertulia.core")
        self._make_provider = make_provider
        self._providers: dict[str, Provider] = {}
        self._callers: dict[tuple[str, str | None], Callable[..., Any]] = {}
        self._chains: dict[tuple[str, str], Sequence[Callable[..., Any]]] = {}
        self._reports: list[PluginReport] = []

    def register(self, plugin: object, name: str | None = None) -> str:
        """
        Add a plugin, or a provider, which is registered under its configured name.

        Returns:
            The name it has from now on.

        Raises:
            PluginRejectedError: It cannot be a plugin as it is; nothing was registered.
        """
        if isinstance(plugin, type):
            raise PluginRejectedError(
                f"{plugin.__name__} is a class",
                plugin=plugin.__name__,
                next_step="register an instance of it",
            )
        name = plugin.name if isinstance(plugin, Provider) else name or type(plugin).__name__
        _check(plugin, name, self._manager)
        try:
            self._manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            self._manager.unregister(plugin) if self._manager.is_registered(plugin) else None
            raise rejected(name, str(error), "use the arguments of the hook's specification") from error
        if isinstance(plugin, Provider):
            self._providers[name] = plugin
        self._callers.clear()
        self._chains.clear()
        return name

    def load_installed(self, restrict_to: frozenset[str] | None) -> None:
        """Register every installed plugin that is no driver; a broken one is reported and breaks nothing."""
        for entry_point in entry_points(group=PLUGIN_GROUP):
            if restrict_to is None or entry_point.name in restrict_to:
                self._load_one(entry_point)

    def _load_one(self, entry_point: EntryPoint) -> None:
        reason = None
        try:
            plugin = entry_point.load()
            self.register(plugin() if isinstance(plugin, type) else plugin, entry_point.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # what foreign code raises is its own affair
            reason = f"{type(error).__name__}: {error}"
            _log.warning("plugin %r was refused: %s", entry_point.name, reason)
        status: Literal["loaded", "refused"] = "loaded" if reason is None else "refused"
        self._reports.append(
            PluginReport(entry_point.name, "plugin", _distribution(entry_point), status, reason)
        )

    def get_provider(self, name: str) -> Provider:
        """
        Return a configured provider, loading its driver on first use.

        Raises:
            UnknownProviderError: None is configured under the name.
            DriverNotInstalledError: Its driver is not installed.
            PluginRejectedError: Its driver cannot be loaded.
        """
        provider = self._providers.get(name)
        if provider is None:
            provider = self._make_provider(name)
            self.register(provider)
        return provider

    @property
    def providers(self) -> Mapping[str, Provider]:
        """The providers in use so far, by name."""
        return self._providers

    def report(self) -> list[PluginReport]:
        """List drivers, plugins and providers, without loading anything."""
        drivers = [
            PluginReport(point.name, "driver", _distribution(point), "available")
            for point in installed_drivers()
        ]
        providers = [PluginReport(name, "provider", None, "loaded") for name in self._providers]
        return [*drivers, *self._reports, *providers]

    def is_overridden(self, hook: str) -> bool:
        """Whether a plugin answers a hook before the core and the providers do."""
        caller = getattr(self._manager.hook, hook)
        return any(
            not (each.wrapper or each.hookwrapper) and not isinstance(each.plugin, CoreDefaults | Provider)
            for each in caller.get_hookimpls()
        )

    def send_message(self, request: Request) -> tuple[AsyncIterator[Delta], list[AsyncIterator[Delta]]]:
        """
        Ask the target.

        Returns:
            What to read from, and the iterators to close in the end, outermost first.
        """
        kept: list[AsyncIterator[Delta]] = []
        token = _innermost.set(kept)
        try:
            iterator = self._call("send_message", request.target.provider, request=request)
        finally:
            _innermost.reset(token)
        if not hasattr(iterator, "__anext__"):
            raise PluginError(
                f"send_message answered {type(iterator).__name__}, not an async iterator",
                hook="send_message",
                provider=request.target.provider,
                next_step="make it an async generator",
            )
        return iterator, [iterator, *(inner for inner in kept if inner is not iterator)]

    async def list_models(self, provider: str) -> Sequence[ModelInfo]:
        """Ask a provider which models there are."""
        self.get_provider(provider)
        models = self._call("list_models", provider)
        return cast("Sequence[ModelInfo]", await self._guard_awaitable("list_models", models))

    def calculate_cost(
        self, target: Target, model: str, usage: Usage, billing: Billing, at: datetime
    ) -> Cost | None:
        """Price one attempt; None when nobody knows."""
        cost = self._call(
            "calculate_cost",
            target.provider,
            target=target,
            vendor=self.get_provider(target.provider).vendor,
            model=model,
            usage=usage,
            billing=billing,
            at=at,
        )
        if cost is None or isinstance(cost, Cost):
            return cost
        raise refuse_answer("calculate_cost", cost, "a Cost or None")

    def count_tokens(self, target: Target, messages: Sequence[Message]) -> int:
        """Estimate the tokens of some messages."""
        weights = self.get_provider(target.provider).find_token_weights(target.model)
        tokens = self._call(
            "count_tokens", target.provider, model=target.model, messages=messages, weights=weights
        )
        if not isinstance(tokens, int):
            raise refuse_answer("count_tokens", tokens, "a whole number")
        return tokens

    async def format_context(
        self, view: ContextView, request: Request, window: Window
    ) -> Context | Sequence[Message]:
        """Choose what the target sees; an override that answers None or DEFER passes."""
        found = await self._ask_in_turn(
            "format_context", request.target.provider, view=view, request=request, window=window
        )
        if found is None:
            raise PluginError("nobody formatted the context", hook="format_context")
        if isinstance(found, Context) or (isinstance(found, Sequence) and not isinstance(found, str)):
            return cast("Context | Sequence[Message]", found)
        raise refuse_answer("format_context", found, "a Context, a sequence of messages or None")

    async def rank_messages(
        self, request: Request, question: str, candidates: Sequence[Candidate]
    ) -> Sequence[float] | None:
        """Score what may be recalled; None where the scores it has are to stay."""
        found = await self._ask_in_turn(
            "rank_messages",
            request.target.provider,
            request=request,
            question=question,
            candidates=candidates,
        )
        if found is None:
            return None
        return read_scores(found, len(candidates))

    async def summarise(
        self, request: Request, messages: Sequence[Message], before: str | None, max_tokens: int
    ) -> str | None:
        """Put in fewer words what was said; None where nobody but a model can."""
        found = await self._ask_in_turn(
            "summarise",
            request.target.provider,
            request=request,
            messages=messages,
            before=before,
            max_tokens=max_tokens,
        )
        if found is None or isinstance(found, str):
            return found
        raise refuse_answer("summarise", found, "a text or None")

    async def _ask_in_turn(self, hook: str, provider: str, **arguments: Any) -> object:
        """Ask one after the other; None where all of them pass, by None or DEFER."""
        for caller in self._one_by_one(hook, provider):
            found = self._guard(hook, lambda: caller(**arguments))  # noqa: B023
            if inspect.isawaitable(found):
                found = await self._guard_awaitable(hook, found)
            if found is not None and found is not DEFER:
                return found
        return None

    def order_targets(
        self, request: Request, targets: Sequence[Target], failed: Sequence[tuple[Target, ErrorKind]]
    ) -> Sequence[Target]:
        """Order the targets left to be asked; what an override adds of its own is not taken."""
        order = self._call("order_targets", None, request=request, targets=targets, failed=failed)
        if order is None:
            return targets
        if not isinstance(order, Sequence):
            raise refuse_answer("order_targets", order, "a sequence of targets or None")
        return keep_known(dict.fromkeys(cast("Sequence[object]", order)), targets)  # each once

    def open_store(self, url: str) -> Store:
        """Make the store for a URL."""
        store = self._call("open_store", None, url=url)
        if not isinstance(store, Store):
            scheme = url.partition(":")[0]
            raise ConfigurationError(
                f"no store is installed for {scheme!r} URLs",
                value=scheme,
                next_step="use sqlite:///PATH or memory:, or install a package that brings the store",
            )
        return store

    def observe(self, notice: Notice) -> None:
        """Tell every observer; one that raises is logged and harms nobody."""
        for implementation in self._manager.hook.observe.get_hookimpls():
            arguments = [notice] if "notice" in implementation.argnames else []
            try:
                implementation.function(*arguments)
            except Exception:  # noqa: BLE001  # an observer harms nobody
                _log.exception("observer %r failed at %s", implementation.plugin_name, type(notice).__name__)

    def _call(self, hook: str, provider: str | None, **arguments: Any) -> Any:
        if provider is not None and provider not in self._providers:
            self.get_provider(provider)
        caller = self._callers.get((hook, provider))
        if caller is None:
            caller = self._callers[hook, provider] = _shorten(self._addressed(hook, provider))
        return self._guard(hook, lambda: caller(**arguments))

    def _addressed(self, hook: str, provider: str | None) -> pluggy.HookCaller:
        others = [plugin for name, plugin in self._providers.items() if name != provider]
        return self._manager.subset_hook_caller(hook, others)

    def has_answer(self, hook: str, provider: str) -> bool:
        """Whether anybody may answer a hook, other than the core."""
        return bool(self._one_by_one(hook, provider))

    def _one_by_one(self, hook: str, provider: str) -> Sequence[Callable[..., Any]]:
        """A caller for each implementation that may answer, in their order, all wrappers around each."""
        callers = self._chains.get((hook, provider))
        if callers is None:
            callers = self._chains[hook, provider] = list(self._make_chain(hook, provider))
        return callers

    def _make_chain(self, hook: str, provider: str) -> Iterable[Callable[..., Any]]:
        addressed = self._addressed(hook, provider)
        answering = [impl for impl in addressed.get_hookimpls() if not impl.wrapper]
        others = [plugin for name, plugin in self._providers.items() if name != provider]
        for chosen in reversed(answering):
            rest = [impl.plugin for impl in answering if impl is not chosen]
            yield _shorten(self._manager.subset_hook_caller(hook, [*others, *rest]))

    def _guard(self, hook: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except TertuliaError:
            raise
        except Exception as error:
            raise explain_failure(hook, error) from error

    async def _guard_awaitable(self, hook: str, awaitable: Awaitable[Any]) -> Any:
        try:
            return await awaitable
        except TertuliaError:
            raise
        except Exception as error:
            raise explain_failure(hook, error) from error


def _shorten(caller: pluggy.HookCaller) -> Callable[..., Any]:
    """
    Call the only implementation there is as pluggy would, which takes five times as long.

    A send calls six hooks, and most of them have one. Of a provider that nothing is wrapped around, what it
    returns is its own iterator, which nobody has to keep apart.
    """
    implementations = [each for each in caller.get_hookimpls() if not isinstance(each.plugin, _Keeper)]
    if len(implementations) != 1 or implementations[0].wrapper or implementations[0].hookwrapper:
        return caller
    function, names = implementations[0].function, implementations[0].argnames

    def call(**arguments: Any) -> Any:
        return function(*[arguments[name] for name in names])

    return call


def _distribution(entry_point: EntryPoint) -> str | None:
    return f"{entry_point.dist.name} {entry_point.dist.version}" if entry_point.dist else None


def _check(plugin: object, name: str, manager: _Manager) -> None:
    try:
        hash(plugin)
    except TypeError:
        raise rejected(
            name, "it is not hashable", "write @attrs.define(eq=False), or remove its __eq__"
        ) from None
    if manager.has_plugin(name) or manager.is_registered(plugin):
        raise rejected(name, "the name is taken, or the object is registered already", "give it another name")
    version = getattr(plugin, "TERTULIA_API", API_VERSION)
    if version != API_VERSION:
        raise rejected(
            name,
            f"it is written for plugin API {version}, and this is API {API_VERSION}",
            "install a release of it that fits this tertulia",
        )
    hooks = _hooks_of(plugin, manager)
    if not hooks:
        raise rejected(name, "it has no hook", "mark a method with @tertulia.hookimpl")
    for hook, options in hooks.items():
        _check_hook(plugin, name, hook, options, manager)


def _hooks_of(plugin: object, manager: _Manager) -> dict[str, pluggy.HookimplOpts]:
    names = (name for name in dir(plugin) if not name.startswith("__"))
    found = ((name, manager.parse_hookimpl_opts(plugin, name)) for name in names)
    return {name: options for name, options in found if options is not None}


def _check_hook(
    plugin: object, name: str, method: str, options: pluggy.HookimplOpts, manager: _Manager
) -> None:
    hook = options["specname"] or method
    if hook not in manager.hook_names:
        close = difflib.get_close_matches(hook, manager.hook_names, n=1)
        advice = (
            f"did you mean {close[0]!r}?" if close else f"hooks are: {', '.join(sorted(manager.hook_names))}"
        )
        raise rejected(name, f"there is no hook {hook!r}", advice)
    function = getattr(plugin, method)
    is_wrapper = options["wrapper"] or options["hookwrapper"]
    if is_wrapper and hook == "observe":
        raise rejected(name, "'observe' has no wrappers", "write a plain observer")
    if is_wrapper and inspect.isasyncgenfunction(function):
        raise rejected(
            name, f"its wrapper of {hook!r} is an async generator", "write `def`, with one plain yield"
        )
    allowed = hook in _ASYNC_ALLOWED or (isinstance(plugin, Provider) and hook == "list_models")
    if inspect.iscoroutinefunction(function) and not allowed:
        raise rejected(name, f"{hook!r} may not be `async def`", _sync_advice(hook))


def _sync_advice(hook: str) -> str:
    if hook == "send_message":
        return "make it an async generator: `async def` with `yield`"
    return "write `def`"
