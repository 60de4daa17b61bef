"""An event loop in a thread of its own, for callers that block."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar

from tertulia.errors import TertuliaError

T = TypeVar("T")

EXIT_SECONDS = 10.0
# On Windows, before Python 3.14, Ctrl-C does not interrupt a wait without an end:
# https://github.com/python/cpython/issues/125541
_PATIENCE_SECONDS = 0.1 if sys.platform == "win32" else None

_log = logging.getLogger("tertulia")


class LoopThread:
    """
    Runs coroutines for callers that block, in a daemon thread with an event loop.

    To what runs there each calling thread is one task, which does that thread's calls one after another
    and sees its context variables: what belongs to a task belongs to a thread.

    The thread starts with the first call. It ends with :meth:`close`, soon after nothing holds this object
    any more, and when the interpreter exits.

    Args:
        resource: Entered in the thread before the first call, and left at the end.
    """

    def __init__(self, resource: AbstractAsyncContextManager[object]) -> None:
        self._resource = resource
        self._lock = threading.RLock()  # a finalizer that posts may run where it is already held
        self._local = threading.local()
        self._service: _Service | None = None
        self._thread: threading.Thread | None = None  # known before it serves
        self._pid: int | None = None  # of the process that started the thread
        self._closed = False

    @property
    def is_running(self) -> bool:
        """Whether it was started, by this process, and not closed."""
        return self._service is not None and not self._closed and not self._is_elsewhere()

    def open(self) -> None:
        """Start the thread unless it runs; what entering the resource raises is raised here."""
        self._check()
        with self._lock:
            self._check()
            if self._service is None:
                self._service = self._start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine, and return or raise what it does.

        Whatever a signal's handler raises meanwhile, such as KeyboardInterrupt, cancels the coroutine, and
        is raised once that has ended; the next one is raised at once.

        Raises:
            TertuliaError: Nothing can be run: the thread has ended, is the caller's own or was left behind
                by a fork.
        """
        call = _Call(work)
        try:
            try:
                self.open()
                self._hand_over(call)
                call.wait()
            except BaseException:
                self._withdraw(call)
                raise
            return call.outcome.result()
        finally:
            del call  # an error's traceback holds this frame, and the call holds the error

    def call(self, function: Callable[[], T]) -> T:
        """Call a function where the coroutines run; here, when this is there, or when nothing runs."""
        if self._is_own_thread() or not self.is_running:
            return function()

        async def work() -> T:
            return function()

        return self.run(work())

    def post(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run a coroutine before the calling thread's next one, and wait for nothing; for finalizers."""
        if self.is_running and not self._is_own_thread():
            call = _Call(work())
            try:
                self._hand_over(call)
            except TertuliaError:  # closed by now, and with it whatever was to be finished
                self._withdraw(call)

    def close(self) -> None:
        """
        Leave the resource and end the thread; what leaving raises is raised here. Safe to call twice.

        In a fork of the process that opened it there is nothing to close.
        """
        if self._is_elsewhere():
            return
        self._check_thread()
        with self._lock:
            first, self._closed = not self._closed, True
            service = self._service
        if service is not None:
            service.stop()
            service.wait()
            if first:
                service.ended.result()

    def _start(self) -> _Service:
        self._pid = os.getpid()
        service = _Service(self._resource)
        self._thread = service.thread
        try:
            service.start()
        except BaseException:
            service.stop()
            raise
        weakref.finalize(self, service.stop).atexit = False
        return service

    def _hand_over(self, call: _Call[Any]) -> None:
        with self._lock:  # so that nothing is handed over after the end
            self._check()
            assert self._service is not None  # noqa: S101  # it is open
            try:
                call.worker = self._worker(self._service)
                self._service.loop.call_soon_threadsafe(call.worker.take, call)
            except RuntimeError:  # the interpreter is exiting, which ended the thread
                call.worker = None
                raise _closed() from None

    def _withdraw(self, call: _Call[Any]) -> None:
        """Take a call back: a coroutine that runs is cancelled, and its end waited for."""
        if call.worker is None:
            call.refuse()
            return
        assert self._service is not None  # noqa: S101  # it has the call
        try:
            self._service.loop.call_soon_threadsafe(call.worker.cancel, call)
        except RuntimeError:  # the thread has ended
            call.refuse()
        call.wait()

    def _worker(self, service: _Service) -> _Worker:
        caller: _Caller | None = getattr(self._local, "caller", None)
        if caller is None:
            caller = self._local.caller = _Caller(service)
        return caller.worker

    def _check(self) -> None:
        if self._is_elsewhere():
            raise TertuliaError(
                f"the client was opened by process {self._pid}, and its thread has stayed there",
                next_step="open a client in this process",
            )
        self._check_thread()
        if self._closed:
            raise _closed()

    def _check_thread(self) -> None:
        if self._is_own_thread():
            raise TertuliaError(
                "a client was called by what it is calling itself, such as a hook, and would wait for itself",
                next_step="call it from another thread, or do without",
            )

    def _is_elsewhere(self) -> bool:
        return self._pid not in (None, os.getpid())

    def _is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread


class _Service:
    """The thread's own side. It holds nothing of its callers, so that it can end when they are gone."""

    def __init__(self, resource: AbstractAsyncContextManager[object]) -> None:
        self.loop = asyncio.new_event_loop()
        self.ended: Future[None] = Future()
        self.thread = threading.Thread(target=self._run, args=(resource,), name="tertulia", daemon=True)
        self._opened: Future[None] = Future()
        self._stopping = asyncio.Event()
        self._workers: dict[_Worker, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Begin to serve."""
        _services.add(self)
        try:
            self.thread.start()
        except RuntimeError as error:
            _services.discard(self)
            self.loop.close()
            raise TertuliaError(f"the client has no thread to work in: {error}") from error
        _wait(self._opened)
        self._opened.result()

    def stop(self) -> None:
        """Let the thread end, and do not wait for it."""
        with suppress(RuntimeError):  # it has ended
            self.loop.call_soon_threadsafe(self._stopping.set)

    def wait(self) -> None:
        """Wait until the thread has ended."""
        _wait(self.ended)
        self.thread.join()

    def employ(self, worker: _Worker) -> None:
        """Give a worker its task, from now on until it is dismissed."""
        task = self._workers[worker] = self.loop.create_task(worker.work())
        task.add_done_callback(lambda _: self._workers.pop(worker))

    def dismiss(self, worker: _Worker) -> None:
        """The thread it worked for is gone."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(worker.take, None)

    def _run(self, resource: AbstractAsyncContextManager[object]) -> None:
        error: BaseException | None = None
        try:
            self._run_to_end(self.loop.create_task(self._serve(resource)))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        except BaseException as raised:  # noqa: BLE001  # it is raised again where somebody waits for it
            error = raised
        finally:
            self.loop.close()
            self._settle(error)
            _services.discard(self)

    def _run_to_end(self, serving: asyncio.Task[None]) -> None:
        while not serving.done():
            # Somebody else's task that ends with SystemExit stops the loop, which others still need.
            with suppress(SystemExit, KeyboardInterrupt):
                self.loop.run_until_complete(serving)
        serving.result()

    async def _serve(self, resource: AbstractAsyncContextManager[object]) -> None:
        try:
            async with resource:
                self._opened.set_result(None)
                await self._stopping.wait()
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """End what still runs, now that there is nothing left for it to run on."""
        workers = dict(self._workers)
        for worker in workers:
            worker.end()
        others = asyncio.all_tasks() - {asyncio.current_task(), *workers.values()}
        for task in others:
            task.cancel()
        await asyncio.gather(*workers.values(), *others, return_exceptions=True)

    def _settle(self, error: BaseException | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(error or _closed())
            error = None
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)


_services: set[_Service] = set()


class _Caller:
    """A thread that calls. It lives in that thread's own variables, and so for as long as the thread does."""

    def __init__(self, service: _Service) -> None:
        self.worker = _Worker()
        self._service = service
        service.loop.call_soon_threadsafe(service.employ, self.worker)

    def __del__(self) -> None:
        self._service.dismiss(self.worker)


class _Worker:
    """Does the calls of one thread, in one task. All of it happens in the loop's thread."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[_Call[Any] | None] = asyncio.Queue()
        self._current: _Call[Any] | None = None
        self._task: asyncio.Task[Any] | None = None

    async def work(self) -> None:
        self._task = asyncio.current_task()
        while (call := await self._calls.get()) is not None:
            self._current = call
            await call.perform()
            self._current = None
            del call  # nothing of a finished call is held while waiting
            while self._task is not None and self._task.cancelling():
                self._task.uncancel()  # it was meant for the call

    def take(self, call: _Call[Any] | None) -> None:
        """Do a call when it is its turn; after None there are no more."""
        self._calls.put_nowait(call)

    def cancel(self, call: _Call[Any]) -> None:
        """Cancel a call, or see to it that it never begins."""
        if call is not self._current:
            call.refuse()
        elif self._task is not None:
            self._task.cancel()

    def end(self) -> None:
        """Do nothing any more, and cancel what is being done."""
        self.take(None)
        if (call := self._current) is not None:
            call.is_over = True
            self.cancel(call)


class _Call(Generic[T]):
    """One coroutine, what became of it, and the context of its caller."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self.outcome: Future[T] = Future()
        self.worker: _Worker | None = None
        self.is_over = False  # it was cancelled because all is over
        self._work = work
        self._context = copy_context()

    def wait(self) -> None:
        """Wait for the outcome, whatever it is."""
        _wait(self.outcome)

    def refuse(self) -> None:
        """Never begin; nothing happens when it is too late for that."""
        if not self.outcome.done():
            self._work.close()
            self.outcome.set_exception(_closed())

    async def perform(self) -> None:
        """Run the coroutine, unless it was refused."""
        if self.outcome.done():
            return
        try:
            result = await _run_in(self._context, self._work)
        except asyncio.CancelledError as error:
            self.outcome.set_exception(_closed() if self.is_over else error)
        except BaseException as error:  # noqa: BLE001  # it is the caller's, whatever it is
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(result)
        finally:
            del self  # which has the error, whose traceback has this frame


@types.coroutine
def _run_in(context: Context, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Run a coroutine in this task, but in another context than the task's."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            awaited = context.run(work.send, value) if error is None else context.run(work.throw, error)
        except StopIteration as end:
            result: T = end.value
            return result
        value = error = None
        try:
            value = yield awaited
        except BaseException as raised:  # noqa: BLE001  # it is the coroutine's, whatever it is
            error = raised


def _wait(future: Future[Any]) -> None:
    """Wait for a future, and leave what became of it to whoever wants to know."""
    while not future.done():
        try:
            future.exception(_PATIENCE_SECONDS)
        except TimeoutError:
            if _PATIENCE_SECONDS is None:  # so it comes from a signal's handler
                raise


def _closed() -> TertuliaError:
    return TertuliaError("the client is closed", next_step="open another one with tertulia.sync.open()")


@atexit.register
def _close_all() -> None:
    """Settle what is under way when the interpreter exits, for as long as that may take."""
    services = tuple(_services)
    for service in services:
        service.stop()
    end = time.monotonic() + EXIT_SECONDS
    for service in services:
        service.thread.join(max(0.0, end - time.monotonic()))
        if service.thread.is_alive():
            _log.warning("a client did not close within %g seconds and was given up", EXIT_SECONDS)
        elif service.ended.done() and (error := service.ended.exception()) is not None:
            _log.warning("a client failed to close: %s: %s", type(error).__name__, error)
