"""The tools of one send: which are offered, which can be called here, and what comes of their calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextvars import Context
from typing import Any, TypeAlias, cast

import attrs

from tertulia.domain.event import ToolEnded, ToolStarted
from tertulia.domain.message import ToolCall, ToolResult
from tertulia.domain.tool import HostedTool, Tool
from tertulia.errors import ToolError
from tertulia.runtime.clock import Clock
from tertulia.runtime.functions import FunctionTool, check_name, function_tool
from tertulia.runtime.schemas import write_value
from tertulia.runtime.serialization import encode_json

AnyTool: TypeAlias = Callable[..., Any] | FunctionTool | Tool | HostedTool
"""A Python function, one with its description, a description alone, or a tool the provider runs."""

_log = logging.getLogger("tertulia")


@attrs.frozen
class Toolbox:
    """
    What a model may call.

    Attributes:
        offered: What it is told of them.

        functions: Those that are called here, by name.
    """

    offered: tuple[Tool | HostedTool, ...] = ()
    functions: Mapping[str, FunctionTool] = attrs.field(factory=dict[str, FunctionTool])

    @classmethod
    def of(cls, tools: Iterable[AnyTool]) -> Toolbox:
        """
        Sort tools.

        Raises:
            ToolError: One cannot be offered, or two have the same name.
        """
        offered: list[Tool | HostedTool] = []
        functions: dict[str, FunctionTool] = {}
        for each in _listed(tools):
            if isinstance(each, Tool | HostedTool):
                offered.append(each)
                continue
            function = each if isinstance(each, FunctionTool) else function_tool(each)
            functions[function.tool.name] = function
            offered.append(function.tool)
        described = [tool for tool in offered if isinstance(tool, Tool)]
        _check_names([tool.name for tool in described])
        for tool in described:
            _check_parameters(tool)
        return cls(tuple(offered), functions)

    def can_run(self, calls: Sequence[ToolCall]) -> bool:
        """Whether the calls are answered here: not where one of them is for the caller to answer."""
        told = {tool.name for tool in self.offered if isinstance(tool, Tool)}
        return bool(self.functions) and not any(
            call.name in told and call.name not in self.functions for call in calls
        )

    async def run(
        self, calls: Sequence[ToolCall], clock: Clock, context: Context
    ) -> AsyncGenerator[ToolStarted | ToolEnded]:
        """
        Call what a model asked for, all at once, and tell of each when it begins and when it ends.

        Whatever goes wrong in a call is its result: the model is told, and goes on. What ends a program,
        such as SystemExit, is raised.

        Args:
            context: What the functions see; each has a copy of its own.
        """
        ended: asyncio.Queue[ToolEnded | BaseException] = asyncio.Queue()

        async def run(call: ToolCall) -> None:
            try:
                ended.put_nowait(await self._call(call, clock))
            except BaseException as error:  # noqa: BLE001  # raised where somebody waits: here it stops the loop
                ended.put_nowait(error)

        tasks: list[asyncio.Task[None]] = []
        try:
            for call in calls:
                task = asyncio.get_running_loop().create_task(run(call), context=context.copy())
                tasks.append(task)
                yield ToolStarted(call)
            for _ in calls:
                outcome = await ended.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            await _cancel(tasks)

    async def _call(self, call: ToolCall, clock: Clock) -> ToolEnded:
        began = clock.monotonic()
        error: Exception | None = None
        try:
            output = _write(await self._find(call).call(_arguments(call)))
        except (asyncio.CancelledError, GeneratorExit) as ended:
            # By the function itself, or by us, and then nobody reads it.
            output, error = "the call was cancelled", RuntimeError(f"{type(ended).__name__}: {ended}")
        except Exception as failure:  # noqa: BLE001  # foreign code; the model is told, and so is the caller
            output, error = _explain(failure), failure
            _log.info("tool %r failed: %s", call.name, type(failure).__name__)
        result = ToolResult(call.id, call.name, output, is_error=error is not None)
        return ToolEnded(call, result, round(clock.monotonic() - began, 6), error)

    def _find(self, call: ToolCall) -> FunctionTool:
        function = self.functions.get(call.name)
        if function is None:
            known = ", ".join(sorted(self.functions))
            raise ToolError(f"there is no tool {call.name!r}; there are: {known}", tool=call.name)
        return function


def _listed(tools: Iterable[AnyTool]) -> Iterable[AnyTool]:
    given = cast("object", tools)
    is_one = callable(given) or isinstance(given, Tool | HostedTool | FunctionTool | str | Mapping)
    if is_one or not isinstance(given, Iterable):
        raise ToolError(
            "tools is a list, and this is none of its own kind", next_step="write tools=[…], with brackets"
        )
    return tools


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        check_name(name)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ToolError(
            f"two tools are called {twice!r}",
            tool=twice,
            next_step="name one of them otherwise: function_tool(…, name=…)",
        )


def _check_parameters(tool: Tool) -> None:
    if tool.parameters.get("type") != "object":
        raise ToolError(
            f"tool {tool.name!r}: its parameters describe no object",
            tool=tool.name,
            next_step='write {"type": "object", "properties": {…}}',
        )
    try:
        encode_json(tool.parameters)
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError(f"tool {tool.name!r}: its parameters are no JSON: {error}", tool=tool.name) from error


def _arguments(call: ToolCall) -> Mapping[str, Any]:
    if call.arguments is None:
        raise ValueError(f"the arguments are no JSON object: {(call.raw_arguments or '')[:200]}")
    return call.arguments


def _write(output: object) -> str:
    return output if isinstance(output, str) else write_value(output)


def _explain(failure: Exception) -> str:
    try:
        words = str(failure)
    except Exception:  # noqa: BLE001  # foreign code as well
        words = ""
    if isinstance(failure, TimeoutError) and not words:
        words = "it took too long"
    return f"{type(failure).__name__}: {words}" if words else type(failure).__name__


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End tasks and wait until they have ended; who is cancelled meanwhile cancels them once more."""
    is_cancelled = False
    for task in tasks:
        task.cancel()
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError:
            is_cancelled = True
            for task in running:
                task.cancel()
    if is_cancelled:
        raise asyncio.CancelledError
