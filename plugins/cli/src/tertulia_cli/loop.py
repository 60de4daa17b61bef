"""A command's coroutines on one event loop, and the signals that end them."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Generator
from contextlib import contextmanager, redirect_stdout
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Self, TypeVar

from tertulia_cli.terminal import note

T = TypeVar("T")

INTERRUPTED = 130
TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends what runs as Ctrl-C does, and the command with it."""


def exit_code(interruption: KeyboardInterrupt) -> int:
    """The exit code of a command that a signal ended."""
    return TERMINATED if isinstance(interruption, Terminated) else INTERRUPTED


def is_echoed(interruption: KeyboardInterrupt | None) -> bool:
    """Whether a terminal shows ``^C`` for it, and stays in that line."""
    is_key = interruption is not None and not isinstance(interruption, Terminated)
    return is_key and sys.stdin.isatty() and sys.stderr.isatty()


class Loop:
    """
    Runs coroutines one after another on one event loop, so that what is open outlives each of them.

    Ctrl-C and SIGTERM cancel the coroutine that runs, which tidies up before KeyboardInterrupt or
    :class:`Terminated` is raised; where none runs, they are raised at once.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._task: asyncio.Task[object] | None = None
        self._is_terminated = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if current_thread() is main_thread():
            self._before = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._runner.close()
        finally:
            if self._before is not None:
                signal.signal(signal.SIGTERM, self._before)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine to its end.

        Standard output belongs to the command's result: what a plugin prints meanwhile goes to standard
        error, and so does what the framework logs, a line each.
        """
        following = self._follow(work)
        try:
            with redirect_stdout(sys.stderr), _logging():
                return self._runner.run(following)
        except asyncio.CancelledError:
            if self._is_terminated:
                raise Terminated from None
            raise
        finally:
            _drop(following)
            _drop(work)

    async def _follow(self, work: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        try:
            return await work
        finally:
            self._task = None

    def _terminate(self, _signal: int, _frame: FrameType | None) -> None:
        if self._task is None:
            raise Terminated
        self._is_terminated = True
        self._task.cancel()
        # The loop may be asleep, and a signal alone does not wake it.
        self._task.get_loop().call_soon_threadsafe(lambda: None)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command that is one coroutine."""
    try:
        with Loop() as loop:
            return loop.run(work)
    finally:
        _drop(work)


def _drop(work: Coroutine[Any, Any, object]) -> None:
    """Be done with what a signal did not let begin; Python would complain that nobody awaited it."""
    if inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
        work.close()


@contextmanager
def _logging() -> Generator[None, None, None]:
    handler = _OneLine(logging.DEBUG if os.environ.get("TERTULIA_DEBUG") else logging.WARNING)
    logger = logging.getLogger("tertulia")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _OneLine(logging.Handler):
    """Shows a log record as a line, without its traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage(), label=record.levelname.lower(), color="yellow")
