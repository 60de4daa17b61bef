"""The blocking twin: the same API wherever nobody awaits, and nothing lost however it ends."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from datetime import UTC, datetime
from textwrap import dedent
from types import FrameType
from typing import Any

import pytest

import tertulia
import tertulia.sync
from tertulia import (
    ConversationNotFoundError,
    Message,
    MessageStatus,
    ModelInfo,
    Provider,
    ProviderConfig,
    Role,
    ServerError,
    StoreError,
    StreamInterruptedError,
    TertuliaError,
    Text,
    TextDelta,
)
from tertulia.testing import ScriptedProvider, StandingClock

TWINS = [
    (tertulia.Client, tertulia.sync.Client),
    (tertulia.Conversation, tertulia.sync.Conversation),
    (tertulia.ReplyStream, tertulia.sync.ReplyStream),
    (tertulia.ComparisonStream, tertulia.sync.ComparisonStream),
]
SPELLED = {
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}
NOT_MIRRORED = {"stop", "was_left_by"}  # the core's own, for the core
caller: ContextVar[str] = ContextVar("caller", default="nobody")


class HeldProvider(Provider):
    """
    Says one word, then nothing until it is released; its model list takes as long.

    Attributes:
        held: Set while it says nothing.

        left: Set once its iterator has been closed.
    """

    DEFAULT_MODEL = "held-1"

    def __init__(self) -> None:
        super().__init__(ProviderConfig("held", "held"))
        self.held = threading.Event()
        self.left = threading.Event()
        self.interrupts = 0
        self.leaves_at_once = True
        self.cancelling: list[int] = []
        self._released = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def release(self) -> None:
        """Go on, whichever thread says so."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._released.set)

    async def send_message(self, request: tertulia.Request) -> AsyncIterator[tertulia.Delta]:
        task = asyncio.current_task()
        assert task is not None
        self.cancelling.append(task.cancelling())
        try:
            yield TextDelta("one")
            await self._hold()
        finally:
            self.left.set()
            if not self.leaves_at_once:
                await self._hold()

    async def list_models(self) -> Sequence[ModelInfo]:
        await self._hold()
        return []

    async def _hold(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.held.set()
        if self.interrupts:
            self.interrupts -= 1
            os.kill(os.getpid(), signal.SIGINT)
        await self._released.wait()


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C be seen, even when the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
def held() -> HeldProvider:
    return HeldProvider()


@pytest.fixture
def client(one, held, database) -> Iterator[tertulia.sync.Client]:
    with tertulia.sync.open(store=database, providers={}, plugins=[one, held], environ={}) as client:
        yield client


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let the test say when garbage is collected, and where."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def run(database, simulator) -> Callable[..., tuple[int, str, str]]:
    """Run a program against the simulated services: its code, and what it wrote."""

    def run(program: str, *options: str) -> tuple[int, str, str]:
        process = subprocess.run(
            [sys.executable, "-W", "error", *options, "-c", dedent(program), *arguments(database, simulator)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return process.returncode, process.stdout, process.stderr

    return run


OPEN = "tertulia.sync.open(store=sys.argv[1], providers=json.loads(sys.argv[2]), environ={})"


def arguments(database, simulator) -> list[str]:
    return [database, json.dumps(simulator.providers())]


def said(conversation: tertulia.sync.Conversation) -> list[tuple[str, MessageStatus]]:
    return [(message.text, message.status) for message in conversation.history()]


async def stored(database: str) -> list[tuple[str, MessageStatus]]:
    """What the only conversation of a database holds, read through the other API."""
    async with tertulia.open(store=database, providers={}, environ={}) as client:
        (record,) = await client.list()
        history = await (await client.get(record.id)).history()
    return [(message.text, message.status) for message in history]


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "tertulia"}


def functions(frame: FrameType | None) -> Iterator[str]:
    """What is being called, the innermost function first."""
    while frame is not None:
        yield frame.f_code.co_name
        frame = frame.f_back


def members(cls: type) -> dict[str, Any]:
    """What a class has, and what those have that it is made of."""
    return {
        name: member
        for base in reversed(cls.__mro__)
        if base is not object
        for name, member in vars(base).items()
    }


def shape(member: Any) -> object:
    if isinstance(member, property):
        return inspect.signature(member.fget).return_annotation
    return inspect.signature(member)


@pytest.mark.parametrize(("twin", "blocking"), TWINS, ids=lambda cls: cls.__name__)
def test_the_twins_have_the_same_methods(twin, blocking):
    """Each public method and property is there, with the same parameters, defaults and result."""
    expected = {
        SPELLED.get(name, name): shape(member)
        for name, member in members(twin).items()
        if name in SPELLED or not (name.startswith("_") or name in NOT_MIRRORED)
    }
    actual = {
        name: shape(member)
        for name, member in members(blocking).items()
        if name in SPELLED.values() or not name.startswith("_")
    }

    if twin is tertulia.Conversation:
        expected["id"] = "UUID"  # an attribute there
    assert expected == actual
    assert [] == [name for name, member in members(blocking).items() if inspect.iscoroutinefunction(member)]


@pytest.mark.parametrize(("twin", "blocking"), TWINS, ids=lambda cls: cls.__name__)
def test_each_method_of_the_twin_is_documented(twin, blocking):
    """What a method does is said once, and help() shows it for both."""
    assert "Say something and wait for the whole answer." in inspect.getdoc(tertulia.sync.Conversation.send)
    assert [] == [
        name for name, member in members(blocking).items() if name[0] != "_" and not inspect.getdoc(member)
    ]


def test_both_are_opened_alike():
    """The arguments of `open` and their defaults are the same."""
    ours, theirs = inspect.signature(tertulia.sync.open), inspect.signature(tertulia.open)

    assert list(theirs.parameters.values()) == list(ours.parameters.values())


def test_all_arguments_pass_through(one, database):
    """The clock, the owner and the plugins are those that were given."""
    one.says("Hi.")
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    settings = {"store": database, "providers": {}, "environ": {}}
    with tertulia.sync.open(
        **settings, plugins=[one], owner="ada", clock=StandingClock(moment), default_provider="one"
    ) as client:
        reply = client.ask("Hello")
        assert [moment] == [record.created_at for record in client.list()]

    assert ("one", "Hi.") == (reply.provider, reply.text)
    with tertulia.sync.open(**settings) as somebody_else:
        assert [] == somebody_else.list()


def test_a_wrong_argument_is_refused_at_once():
    """Configuration is checked before anything is opened."""
    with pytest.raises(tertulia.ConfigurationError, match="max_context_tokens"):
        tertulia.sync.open(store="memory:", max_context_tokens=-1, environ={})


def test_importing_the_library_neither_loads_the_twin_nor_starts_a_thread(run):
    """The twin is loaded when it is first named, and its thread starts with the first call."""
    program = """
        import sys, threading
        import tertulia
        print("tertulia.sync" in sys.modules, "asyncio" in sys.modules)
        client = tertulia.sync.open(store="memory:", providers={}, environ={})
        print(client.providers, client.plugins is not None, threading.active_count())
        print(client.list(), [thread.name for thread in threading.enumerate() if thread.name == "tertulia"])
    """

    assert (0, "False False\n[] True 1\n[] ['tertulia']\n", "") == run(program)


def test_a_script_runs_across_providers(run):
    """In a plain script the conversation goes on elsewhere and knows what was said; it ends in silence."""
    program = f"""
        import json, sys
        import tertulia

        with {OPEN} as client:
            conversation = client.start("Names", provider="openai")
            print(conversation.send("My name is John.").text)
            conversation.switch("gemini")
            with conversation.stream("What is my name?") as stream:
                for event in stream:
                    if isinstance(event, tertulia.TextDelta):
                        print(event.text, end="|")
            print(stream.reply.provider, (conversation.cost()).total.exact)
    """

    assert (0, "Hello John.\nYour| name| is| John.|gemini True\n", "") == run(program)


async def test_a_repl_needs_no_with(database, simulator):
    """Typed line by line, nothing is opened or closed by hand; leaving the REPL keeps what was shown."""
    lines = f"""
        import json, sys
        import tertulia
        client = {OPEN}
        conversation = client.start(provider="openai")
        conversation.send("My name is John.").text
        stream = conversation.stream("Count to 5.")
        next(stream).text
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-q", "-i", "-", *arguments(database, simulator)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, errors = await process.communicate(dedent(lines).encode())

    assert "'Hello John.'\n'1,'\n" == out.decode()
    assert (0, "") == (process.returncode, errors.decode().replace(">>> ", "").strip())
    assert [
        ("My name is John.", MessageStatus.COMPLETE),
        ("Hello John.", MessageStatus.COMPLETE),
        ("Count to 5.", MessageStatus.COMPLETE),
        ("1,", MessageStatus.INTERRUPTED),
    ] == await stored(database)


async def test_it_works_inside_a_running_loop(simulator, database):
    """Where a loop is already running, as in Jupyter, the twin has its own."""
    settings = {"store": database, "providers": simulator.providers(), "environ": {}}
    with tertulia.sync.open(**settings) as client:
        conversation = client.start(provider="openai")
        assert "Hello John." == conversation.send("My name is John.").text
        conversation.switch("gemini")
        assert "Your name is John." == conversation.stream("What is my name?").read().text

    assert 4 == len(await stored(database))


def test_it_is_open_from_the_first_call_to_the_last(one, database):
    """Without `with` the first call opens a client, and `close` ends its thread."""
    before = threads()
    client = tertulia.sync.open(store=database, providers={}, plugins=[one], environ={})
    assert ["one"] == client.providers
    assert set() == threads() - before

    client.start(provider="one")
    assert 1 == len(threads() - before)
    client.close()

    assert set() == threads() - before
    assert ["one"] == client.providers


def test_a_closed_client_says_so(client, one):
    """After closing, each call is refused with words, closing again is nothing, and values stay."""
    one.says("Hi.")
    conversation = client.start("Trip", provider="one")
    with conversation.stream("Hello") as stream:
        stream.read()
    unread = conversation.stream("Hello")
    client.close()

    for call in (client.list, conversation.history, unread.read, client.__enter__):
        with pytest.raises(TertuliaError, match="the client is closed; open another one"):
            call()
    unread.close()
    client.close()
    assert ("Trip", "one", "Hi.") == (conversation.title, conversation.provider, stream.reply.text)


def test_a_client_that_cannot_be_opened_can_be_tried_again(tmp_path, one):
    """The first call raises what is wrong with the store; once that is mended the next one works."""
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    store = f"sqlite:///{blocked / 'conversations.db'}"
    client = tertulia.sync.open(store=store, providers={}, plugins=[one], environ={})

    for _ in range(2):
        with pytest.raises(StoreError, match=r"cannot be made|is no folder|Not a directory"):
            client.list()
    blocked.unlink()

    assert [] == client.list()
    client.close()


def test_what_nobody_holds_any_more_is_closed(one, database):
    """A client's thread lives as long as anything of the client does."""
    one.says("Hi.")
    before = threads()
    client = tertulia.sync.open(store=database, providers={}, plugins=[one], environ={})
    conversation = client.start(provider="one")
    (thread,) = threads() - before
    del client
    gc.collect()
    assert "Hi." == conversation.send("Hello").text

    del conversation
    gc.collect()

    thread.join(30)
    assert not thread.is_alive()


def test_every_way_on_is_there(client, one):
    """Forks, edits, other answers, resumed ones and what was said elsewhere: each lands on its branch."""
    one.says("a").says("b").says("c").fails(ServerError("gone"), "Lis").says("bon")
    conversation = client.start(provider="one")
    first = conversation.send("1")

    idea = conversation.fork("idea", at=first)
    idea.append(Message(Role.USER, (Text("said elsewhere"),)))
    assert ["1", "a", "said elsewhere"] == [text for text, _ in said(idea)]

    conversation.edit(conversation.history()[0], "2").read()
    assert ["2", "b"] == [text for text, _ in said(conversation)]
    conversation.regenerate().read()
    assert ["2", "c"] == [text for text, _ in said(conversation)]

    with pytest.raises(StreamInterruptedError):
        conversation.send("Where?")
    assert "Lisbon" == conversation.resume().read().text
    assert ["2", "c", "Where?", "Lisbon"] == [text for text, _ in said(conversation)]

    conversation.rename_branch("idea", "thought")
    conversation.switch_branch("main")
    conversation.delete_branch("thought")
    assert ["1", "a"] == [text for text, _ in said(client.get(conversation.id))]
    assert ["main", "main-2", "main-3", "main-4"] == [branch.name for branch in conversation.branches()]


def test_errors_come_through_whole(client, one):
    """An error has its class, its cause and the traceback of where it was raised."""
    one.fails(ServerError("gone", status=502), "Lisbon is")
    conversation = client.start(provider="one")

    with pytest.raises(StreamInterruptedError) as caught:
        conversation.send("Tell me of Lisbon.")

    assert "Lisbon is" == caught.value.partial.text
    assert ServerError is type(caught.value.__cause__)
    assert 502 == caught.value.__cause__.status
    frames = [entry.name for entry in caught.traceback]
    assert ["test_errors_come_through_whole", "send"] == frames[:2]
    assert "_recover" in frames


def test_an_error_that_was_handled_is_gone(client, uncollected):
    """No error keeps itself alive, and with it all that its traceback holds, until garbage is collected."""
    try:
        client.get("nobody")
    except ConversationNotFoundError as error:
        held = weakref.ref(error)

    assert held() is None


def test_leaving_a_stream_keeps_what_was_shown(client, one):
    """At the end of `with` the part that was shown is stored."""
    one.says("one", " two", " three")
    conversation = client.start(provider="one")

    with conversation.stream("Count.") as stream:
        for event in stream:
            if event == TextDelta(" two"):
                break

    assert [("Count.", MessageStatus.COMPLETE), ("one two", MessageStatus.INTERRUPTED)] == said(conversation)
    assert [] == list(stream)
    with pytest.raises(TertuliaError, match="the answer is not complete"):
        _ = stream.reply


def test_a_break_is_settled_before_the_next_call(client, held):
    """A stream left with a bare `break` is closed, and what was shown stored, when the next call is made."""
    conversation = client.start(provider="held")

    for _ in conversation.stream("Count."):
        break

    assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == said(conversation)


def test_a_stream_that_is_collected_closes_its_connection(client, held, uncollected):
    """A stream in a reference cycle is closed when the cycle is collected, whichever thread does that."""
    conversation = client.start(provider="held")
    stream = conversation.stream("Count.")
    next(stream)
    cycle: list[object] = [stream]
    cycle.append(cycle)
    del stream, cycle

    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(gc.collect).result()
        elsewhere.submit(conversation.history).result()

    assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == said(conversation)


def test_an_open_stream_does_not_lock_out_its_own_thread(client, one):
    """A thread that left a stream open and sends again does not wait for itself."""
    one.says("one", " two").says("Hi.")
    conversation = client.start(provider="one")
    stream = conversation.stream("Count.")
    assert TextDelta("one") == next(stream)

    assert "Hi." == conversation.send("Hello").text

    with pytest.raises(StreamInterruptedError, match="another message was sent meanwhile"):
        next(stream)


def test_ctrl_c_while_reading_keeps_what_was_shown(client, held):
    """Ctrl-C while the next word is waited for ends the answer, stores its beginning and is raised."""
    held.interrupts = 1
    conversation = client.start(provider="held")
    stream = conversation.stream("Count.")
    assert TextDelta("one") == next(stream)

    with pytest.raises(KeyboardInterrupt):
        next(stream)

    assert held.left.is_set()
    assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == said(conversation)
    assert [] == list(stream)


def test_ctrl_c_while_sending_keeps_the_message(client, held):
    """A whole answer that is interrupted is kept as far as it came, and the client can be used on."""
    held.interrupts = 1
    conversation = client.start(provider="held")

    with pytest.raises(KeyboardInterrupt):
        conversation.send("Count.")

    assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == said(conversation)
    assert TextDelta("one") == next(conversation.stream("Again."))
    assert [0, 0] == held.cancelling


def test_a_second_ctrl_c_waits_for_nothing(client, held):
    """When what was interrupted takes its time to end, Ctrl-C again leaves it to end by itself."""
    held.interrupts = 2
    held.leaves_at_once = False
    conversation = client.start(provider="held")

    with pytest.raises(KeyboardInterrupt):
        conversation.send("Count.")
    held.release()

    assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == said(conversation)


def test_ctrl_c_ends_a_call_that_has_not_begun(client, held):
    """A call that waits for the one before it is never made, and the thread's calls go on after that one."""
    held.leaves_at_once = False
    conversation = client.start(provider="held")
    for _ in conversation.stream("Count."):
        break
    assert held.held.wait(30)
    here = threading.get_ident()

    def interrupt() -> None:
        while not {"rename", "wait"} <= set(functions(sys._current_frames()[here])):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            conversation.rename("Never")
        held.release()

        assert [("Count.", MessageStatus.COMPLETE), ("one", MessageStatus.INTERRUPTED)] == said(conversation)
    assert conversation.title is None


def test_ctrl_c_in_a_program_keeps_what_was_shown(database, simulator):
    """A program that is interrupted while it reads ends as any other would; what it showed is stored."""
    simulator.fail("openai", "stall", after=2, seconds=60)
    program = f"""
        import json, sys
        import tertulia

        with {OPEN} as client:
            for event in client.start(provider="openai").stream("Count to 5."):
                print(event.text, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", dedent(program), *arguments(database, simulator)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()

    assert ["1,\n", " 2,\n"] == shown
    assert process.returncode in (-signal.SIGINT, 130)
    assert errors.endswith("KeyboardInterrupt\n")
    assert [
        ("Count to 5.", MessageStatus.COMPLETE),
        ("1, 2,", MessageStatus.INTERRUPTED),
    ] == asyncio.run(stored(database))


def test_threads_use_one_client_at_once(client, one):
    """Eight threads talk in conversations of their own and in one they share, and each gets its answers."""
    for _ in range(80):
        one.says("Hi.")
    shared = client.start(provider="one")

    def talk(number: int) -> list[str]:
        own = client.start(provider="one")
        for turn in range(5):
            own.send(f"{number}/{turn}")
            shared.send(f"{number}/{turn}")
        return [message.text for message in own.history() if message.role is Role.USER]

    with ThreadPoolExecutor(8) as pool:
        histories = list(pool.map(talk, range(8)))

    assert [[f"{number}/{turn}" for turn in range(5)] for number in range(8)] == histories
    texts = [message.text for message in shared.history()]
    assert sorted(f"{number}/{turn}" for number in range(8) for turn in range(5)) == sorted(texts[::2])
    assert ["Hi."] * 40 == texts[1::2]


def test_the_first_calls_of_many_threads_open_one_client(one, database):
    """Whoever comes first opens the client, and everybody else waits for that."""
    before = threads()
    client = tertulia.sync.open(store=database, providers={}, plugins=[one], environ={})

    with ThreadPoolExecutor(8) as pool:
        listed = [task.result() for task in [pool.submit(client.list) for _ in range(8)]]

    assert [[]] * 8 == listed
    assert 1 == len(threads() - before)
    client.close()


def test_one_thread_reads_a_stream(client, held):
    """A second thread that reads the stream meanwhile is told so."""
    stream = client.start(provider="held").stream("Count.")
    next(stream)
    with ThreadPoolExecutor(1) as elsewhere:
        reading = elsewhere.submit(next, stream)
        assert held.held.wait(30)

        with pytest.raises(TertuliaError, match="another task is reading this stream"):
            next(stream)

        stream.close()
        with pytest.raises(StreamInterruptedError):
            reading.result()


def test_a_thread_that_ends_leaves_nothing_behind(database):
    """A hundred threads, one after another, are not a hundred tasks."""

    class Counting(ScriptedProvider):
        async def list_models(self) -> Sequence[ModelInfo]:
            counts.append(len(asyncio.all_tasks()))
            return []

    counts: list[int] = []
    with tertulia.sync.open(store=database, providers={}, plugins=[Counting("one")], environ={}) as client:
        for _ in range(100):
            thread = threading.Thread(target=client.list_models, args=["one"])
            thread.start()
            thread.join()

    assert 100 == len(counts)
    assert max(counts) <= 3


def test_closing_ends_what_other_threads_wait_for(client, held):
    """Who reads a stream is told that it was stopped, and who waits for something else that all is closed."""
    stream = client.start(provider="held").stream("Count.")
    next(stream)
    with ThreadPoolExecutor(2) as elsewhere:
        reading = elsewhere.submit(next, stream)
        assert held.held.wait(30)
        held.held.clear()
        listing = elsewhere.submit(client.list_models, "held")
        assert held.held.wait(30)

        client.close()

        with pytest.raises(StreamInterruptedError, match="the stream was closed"):
            reading.result()
        with pytest.raises(TertuliaError, match="the client is closed"):
            listing.result()
    assert held.left.is_set()


def test_a_client_called_by_its_own_hook_says_so(database):
    """A provider that calls the client it is called by would wait for itself, and is told instead."""

    class Curious(ScriptedProvider):
        async def list_models(self) -> Sequence[ModelInfo]:
            assert ["one"] == client.providers
            return [ModelInfo("one", record.title or "") for record in client.list()]

    with (
        tertulia.sync.open(store=database, providers={}, plugins=[Curious("one")], environ={}) as client,
        pytest.raises(TertuliaError, match="would wait for itself; call it from another thread"),
    ):
        client.list_models("one")


def test_a_client_called_while_it_opens_says_so(one):
    """A hook that is asked for the store cannot ask the client that is being opened."""

    class Early:
        @tertulia.hookimpl
        def open_store(self, url: str) -> tertulia.Store | None:
            client.list()
            return None

    client = tertulia.sync.open(store="memory:", providers={}, plugins=[one, Early()], environ={})

    with pytest.raises(TertuliaError, match="would wait for itself; call it from another thread"):
        client.list()


def test_an_error_at_closing_is_raised_once(one):
    """What closing raises is raised by `close`; the thread has ended all the same."""
    before = threads()

    class Stuck(ScriptedProvider):
        async def aclose(self) -> None:
            raise OSError("stuck")

    client = tertulia.sync.open(store="memory:", providers={}, plugins=[Stuck("one")], environ={})
    client.list()

    with pytest.raises(OSError, match="stuck"):
        client.close()
    client.close()
    assert set() == threads() - before


def test_hooks_see_the_context_of_their_caller(database):
    """What a context variable is to the caller it is to the plugins, call by call."""

    class Asking(ScriptedProvider):
        async def list_models(self) -> Sequence[ModelInfo]:
            await asyncio.sleep(0)
            seen.append(caller.get())
            return []

    seen: list[str] = []
    with tertulia.sync.open(store=database, providers={}, plugins=[Asking("one")], environ={}) as client:
        client.list_models("one")
        token = caller.set("ada")
        client.list_models("one")
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(client.list_models, "one").result()
        caller.reset(token)
        client.list_models("one")

    assert ["nobody", "ada", "nobody", "nobody"] == seen


def test_a_plugin_that_exits_ends_its_caller_only(database):
    """SystemExit reaches who called; the thread goes on for everybody else."""

    class Leaving(ScriptedProvider):
        async def list_models(self) -> Sequence[ModelInfo]:
            asyncio.get_running_loop().call_soon(sys.exit)
            await asyncio.sleep(0)
            sys.exit(3)

    with tertulia.sync.open(store=database, providers={}, plugins=[Leaving("one")], environ={}) as client:
        with pytest.raises(SystemExit, match="3"):
            client.list_models("one")
        assert [] == client.list()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_is_told_that_the_client_stayed_behind(run):
    """In a forked process each call is refused with words; the parent's client does not notice."""
    program = f"""
        import json, os, sys, warnings
        import tertulia
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

        def attempt(call):
            try:
                call()
            except tertulia.TertuliaError as error:
                return str(error).replace(str(parent), "PARENT")

        parent, unopened = os.getpid(), {OPEN}
        with {OPEN} as client:
            conversation = client.start(provider="openai")
            stream = conversation.stream("Count to 5.")
            next(stream)
            if (child := os.fork()) == 0:
                calls = (client.list, conversation.history, lambda: next(stream))
                print(*{{attempt(call) for call in calls}}, stream.close(), len(unopened.list()))
                sys.exit(4)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            print(*(event.text for event in stream if isinstance(event, tertulia.TextDelta)))
    """
    words = (
        "the client was opened by process PARENT, and its thread has stayed there; "
        "open a client in this process None 1"
    )

    assert (0, f"{words}\n4\n 2,  3,  4,  5.\n", "") == run(program)


def test_an_exit_in_the_middle_keeps_what_was_shown(run, database):
    """A program that just ends while a stream is half read is not held up, and nothing is lost."""
    program = f"""
        import json, sys
        import tertulia

        client = {OPEN}
        stream = client.start(provider="openai").stream("Count to 5.")
        print(next(stream).text)
        sys.exit(5)
    """

    assert (5, "1,\n", "") == run(program)
    assert [
        ("Count to 5.", MessageStatus.COMPLETE),
        ("1,", MessageStatus.INTERRUPTED),
    ] == asyncio.run(stored(database))


def test_an_exit_does_not_wait_for_ever(run):
    """What never ends is given up when the interpreter exits, and that is said."""
    program = """
        import asyncio
        import tertulia
        from tertulia.runtime import loop_thread
        from tertulia.testing import ScriptedProvider

        class Endless(ScriptedProvider):
            async def aclose(self):
                await asyncio.Event().wait()

        loop_thread.EXIT_SECONDS = 0.1
        client = tertulia.sync.open(store="memory:", providers={}, plugins=[Endless("one")], environ={})
        print(client.list())
    """

    assert (0, "[]\n", "a client did not close within 0.1 seconds and was given up\n") == run(program)


def test_an_error_at_the_exit_is_said(run):
    """A client that cannot be closed when the interpreter exits says why, and the exit is what it was."""
    program = """
        import tertulia
        from tertulia.testing import ScriptedProvider

        class Stuck(ScriptedProvider):
            async def aclose(self):
                raise OSError("stuck")

        client = tertulia.sync.open(store="memory:", providers={}, plugins=[Stuck("one")], environ={})
        print(client.list())
    """

    assert (0, "[]\n", "a client failed to close: OSError: stuck\n") == run(program)
