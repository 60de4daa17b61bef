"""Python functions as tools: what a model is told of them, and how they are called."""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import copy_context
from types import SimpleNamespace
from typing import Annotated, Any, get_type_hints

import attrs

from tertulia.domain.tool import Tool
from tertulia.domain.words import name_type
from tertulia.errors import ToolError
from tertulia.runtime.schemas import Check, make_check, make_schema

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


# Compared by identity: what it holds is code.
@attrs.frozen(eq=False)
class FunctionTool:
    """
    A Python function that a model may call.

    Attributes:
        tool: What the model is told of it.

        function: What is called; awaited where it is ``async``, in a thread of its own where it is not.

        timeout_seconds: How long a call may take; None for as long as it takes.
    """

    tool: Tool
    function: Callable[..., Any] = attrs.field(repr=False)  # a partial or a method shows what it holds
    timeout_seconds: float | None = None
    _read: Callable[[Mapping[str, Any]], Mapping[str, Any]] = attrs.field(default=dict, repr=False)

    async def call(self, arguments: Mapping[str, Any]) -> object:
        """
        Call the function with what a model wrote.

        Raises:
            MismatchError: The arguments do not fit the function, which was not called.
            TimeoutError: It took longer than it may.
            Exception: Whatever the function raises.
        """
        read = self._read(arguments)
        async with asyncio.timeout(self.timeout_seconds):
            if _is_async(self.function):
                return await self.function(**read)
            output = await _call_in_thread(self.function, read)
            return await output if inspect.isawaitable(output) else output


def function_tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    timeout_seconds: float | None = None,
) -> FunctionTool:
    """
    Make a tool of a Python function.

    Its name, its docstring and its type hints say what the model is told; descriptions of the parameters
    are taken from the docstring in any of the usual styles. A plain function in ``tools=[…]`` is made a
    tool so; call this to say something else.

    Args:
        function: Called with the arguments by name; ``async`` or not.
        name: What the model calls it; None for the function's own name.
        description: What it does and when to use it; None for its docstring.
        parameters: A JSON Schema of the object of its arguments; None to make it of the type hints.
        timeout_seconds: How long one call may take; None for as long as it takes.

    Raises:
        ToolError: It cannot be offered: for its name, or a type hint of which no schema can be made.

    Example::

        def get_weather(city: str, days: int = 1) -> str:
            '''Forecast the weather of a city, by its name in English.'''
            return f"{days} sunny days in {city}"

        await trip.send("Shall I take a coat to Lisbon?", tools=[get_weather])
    """
    if not callable(function):
        raise ToolError(
            f"{name_type(type(function))} cannot be called, so it is no tool",
            next_step="pass a function, a Tool or a HostedTool",
        )
    if timeout_seconds is not None and not _is_positive(timeout_seconds):
        raise ToolError(f"timeout_seconds is a number above 0, and not {timeout_seconds!r}", tool=name)
    inner = _unbind(function)
    name = name or str(getattr(inner, "__name__", type(inner).__name__))
    check_name(name)
    _refuse_generator(inner, name)
    words = _read_docstring(inner)
    if parameters is None:
        schema, read = _read_hints(function, name, words.parameters)
    else:
        schema, read = dict(parameters), _check_given(parameters, name)
    tool = Tool(name, words.summary if description is None else description, schema)
    return FunctionTool(tool, function, timeout_seconds, read)


def check_name(name: str) -> None:
    """Refuse a name that some provider would not take."""
    if not NAME.fullmatch(name):
        raise ToolError(
            f"{name!r} cannot be the name of a tool",
            tool=name,
            next_step="use 1 to 64 letters, digits, - and _: function_tool(…, name=…)",
        )


@attrs.frozen
class _Docstring:
    summary: str
    parameters: Mapping[str, str]


def _read_docstring(function: Callable[..., Any]) -> _Docstring:
    import docstring_parser

    found = docstring_parser.parse(inspect.getdoc(function) or "")
    words = (found.short_description, found.long_description)
    parameters = {each.arg_name: each.description or "" for each in found.params}
    return _Docstring("\n\n".join(filter(None, words)), parameters)


def _read_hints(
    function: Callable[..., Any], name: str, described: Mapping[str, str]
) -> tuple[dict[str, Any], Callable[[Mapping[str, Any]], Mapping[str, Any]]]:
    import msgspec

    try:
        arguments = dict(_arguments(function, name, described))
        # The fields have names of their own: not every argument's name can be a field's.
        names = {f"argument_{number}": each for number, each in enumerate(arguments)}
        fields = [(field, *arguments[each]) for field, each in names.items()]
        struct = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True, rename=names)
        schema, check = make_schema(struct)
    except (TypeError, NameError, ValueError) as error:
        raise ToolError(
            f"tool {name!r}: no JSON Schema can be made of its type hints: {error}",
            tool=name,
            next_step="use plain types, attrs or data classes; or pass parameters=, a JSON Schema",
        ) from error
    schema.pop("title", None)

    def read(written: Mapping[str, Any]) -> Mapping[str, Any]:
        found = check(dict(written))
        return {each: getattr(found, field) for field, each in names.items()}

    return schema, read


def _arguments(
    function: Callable[..., Any], name: str, described: Mapping[str, str]
) -> Iterator[tuple[str, tuple[Any] | tuple[Any, Any]]]:
    """The arguments by name, each as its type, and its default where it has one."""
    import msgspec

    hints = _get_hints(_unbind(function))
    bound = _find_bound(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in bound:
            continue
        if parameter.kind in _VARIADIC or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ToolError(
                f"tool {name!r}: {parameter} cannot be given by name",
                tool=name,
                next_step="give every argument a name of its own",
            )
        kind = hints.get(parameter.name, Any)
        if words := described.get(parameter.name):
            kind = Annotated[kind, msgspec.Meta(description=words)]
        if parameter.default is inspect.Parameter.empty:
            yield parameter.name, (kind,)
        else:
            yield parameter.name, (kind, _default(parameter.default))


def _get_hints(target: Any) -> Mapping[str, Any]:
    """The type hints of the arguments; what is returned may have one that is not there at run time."""
    is_class, is_routine = isinstance(target, type), inspect.isroutine(target)
    if is_class:
        target = target.__init__
    elif not is_routine:
        target = type(target).__call__
    target = inspect.unwrap(target)
    annotations = {
        name: kind for name, kind in getattr(target, "__annotations__", {}).items() if name != "return"
    }
    annotated = SimpleNamespace(
        __annotations__=annotations, __type_params__=getattr(target, "__type_params__", ())
    )
    return get_type_hints(annotated, getattr(target, "__globals__", {}), include_extras=True)


def _default(value: Any) -> Any:
    """Plain values are told to the model; others are only put in."""
    import msgspec

    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if value is None or is_number or isinstance(value, str):
        return value
    return msgspec.field(default_factory=lambda: value)


def _check_given(
    parameters: Mapping[str, Any], name: str
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    try:
        check: Check = make_check(parameters)
    except ValueError as error:
        raise ToolError(
            f"tool {name!r}: parameters is no JSON Schema: {error}",
            tool=name,
            next_step="write it as an object with properties",
        ) from error
    return lambda arguments: check(dict(arguments))


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _unbind(function: Callable[..., Any]) -> Any:
    """The function behind a ``functools.partial``, whose own name and words are those of ``functools``."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _find_bound(function: Callable[..., Any]) -> frozenset[str]:
    """The arguments a ``functools.partial`` has by name: a key, a user's id; no model is told of them."""
    bound = frozenset[str]()
    while isinstance(function, functools.partial):
        bound |= function.keywords.keys()
        function = function.func
    return bound


def _is_async(function: Callable[..., Any]) -> bool:
    return _is_or_calls(inspect.iscoroutinefunction, _unbind(function))


def _is_or_calls(is_kind: Callable[[Any], bool], function: Any) -> bool:
    kind: Any = function.__class__  # of an object that can be called
    return is_kind(function) or is_kind(kind.__call__)


def _refuse_generator(function: Any, name: str) -> None:
    generates = (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(_is_or_calls(is_kind, function) for is_kind in generates):
        raise ToolError(
            f"tool {name!r} is a generator, which returns nothing that could be sent",
            tool=name,
            next_step="collect what it yields, and return that",
        )


async def _call_in_thread(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """
    Call a function that may block, in a daemon thread of its own.

    One that never returns takes no place from the calls beside it, as it would in a pool, nor does the
    program wait for it at its end.
    """
    loop, context = asyncio.get_running_loop(), copy_context()
    ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def tell(output: Any, error: BaseException | None) -> None:
        if not ended.done():  # it was not given up
            ended.set_result((output, error))

    def work() -> None:
        output, error = None, None
        try:
            output = context.run(function, **arguments)
        except BaseException as raised:  # noqa: BLE001  # it is raised again where somebody waits for it
            error = raised
        with suppress(RuntimeError):  # the loop is closed by now
            loop.call_soon_threadsafe(tell, output, error)

    threading.Thread(target=work, name="tertulia tool", daemon=True).start()
    output, error = await ended
    try:
        if error is not None:
            raise error
        return output
    finally:
        del error  # its traceback has this frame
