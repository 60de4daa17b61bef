"""``tertulia demo``: one conversation that moves between three providers, told as it happens."""

from __future__ import annotations

import shutil
import sys
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.text import Text

import tertulia
from tertulia_cli.answers import describe_bill
from tertulia_cli.loop import run
from tertulia_cli.terminal import make_console, sanitise
from tertulia_cli.tree import Bough, draw_tree, read_boughs
from tertulia_simulator import Simulator

if TYPE_CHECKING:
    from rich.console import Console

TITLE = "One conversation, three AI providers"
INTRODUCTION = """\
Offline: OpenAI, Gemini and xAI are simulated on this machine; no key, no bill.
The drivers, the HTTP, the database and the price lists are the real ones.
"""
WIDTH = 80
# Eight by eight points: somebody who smiles.
PICTURE = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAFUlEQVR42mOwYXBiWMrQCMQzgSwbABsQA2HCc3KMAAAAAElFTkSuQmCC"
)
COLORS = {"you": "", "openai": "green", "gemini": "cyan", "xai": "magenta", "total": "bold"}


def show_demo() -> int:
    """Tell the story; return the exit code."""
    stage = Stage(make_console())
    run(tell(stage))
    return 0


async def tell(stage: Stage) -> None:
    """One conversation, from its first word to its bill."""
    with TemporaryDirectory(prefix="tertulia-demo-") as folder:
        store = f"sqlite:///{folder}/conversations.db"
        async with Simulator() as simulator:
            stage.title(TITLE, INTRODUCTION)
            async with open_client(store, simulator) as client:
                conversation = await client.start("Demo", provider="openai")
                await tell_of_providers(stage, conversation)
                await tell_of_bad_days(stage, conversation, simulator)

            async with open_client(store, simulator) as client:
                [record] = await client.list()
                conversation = await client.get(record.id)
                stage.chapter("All is closed; a new client reads the branches from the SQLite file")
                stage.tree(await read_boughs(client, conversation))

                stage.chapter("What it cost, exactly; for the answer that broke off nobody sent a bill")
                stage.bill(await conversation.cost())

    stage.epilogue('export OPENAI_API_KEY="sk-..."', f"{own_name()} chat")


async def tell_of_providers(stage: Stage, conversation: tertulia.Conversation) -> None:
    """Three providers, and a branch."""
    stage.chapter(f"It starts with openai ({conversation.model})")
    await stage.talk(conversation, "My name is John.")

    await conversation.switch("gemini")
    stage.chapter(f"Switch to gemini ({conversation.model}): it is sent the history, and an image")
    await stage.talk(conversation, "Good morning!")
    before = await stage.talk(conversation, "What is this?", attach=tertulia.load_image(PICTURE))

    await conversation.switch("xai")
    stage.chapter(f"Switch to xai ({conversation.model}): it remembers as well")
    await stage.talk(conversation, "What is my name?")

    mary = await conversation.fork("mary", at=before)
    stage.chapter("Fork before that question; on the branch “mary” something else was said")
    await stage.talk(mary, "My name is Mary.")
    await stage.talk(mary, "What is my name?")


async def tell_of_bad_days(stage: Stage, conversation: tertulia.Conversation, simulator: Simulator) -> None:
    """A provider that cannot, and one that breaks off."""
    simulator.fail("xai", "overloaded")
    stage.chapter("Back on main xai is overloaded; openai is its fallback, and takes over")
    await stage.talk(conversation, "Do you remember my name?", fallback=["openai"])

    simulator.fail("xai", "cut_stream", after=4)
    stage.chapter("An answer breaks off: what came is kept, and the rest is asked for")
    await stage.talk(conversation, "Count to 9.")
    await stage.answer(conversation.resume(), conversation.provider)


def own_name() -> str:
    """What a person types to run this very command from where they are."""
    typed = Path(sys.argv[0])
    if shutil.which("tertulia") is not None or typed.name != "tertulia":
        return "tertulia"
    near = typed.absolute().is_relative_to(Path.cwd())
    return str(typed.absolute().relative_to(Path.cwd()) if near else typed)


def open_client(store: str, simulator: Simulator) -> tertulia.Client:
    """A client of the simulated services, whatever the user's own configuration and plugins are."""
    return tertulia.open(
        store=store,
        providers=simulator.providers(),
        routing=tertulia.Routing(max_retries=0),  # the story has no time for a second try
        environ={"TERTULIA_PLUGINS": ""},
    )


class Stage:
    """How the story looks: plain text in a pipe, coloured on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapters = 0
        self._in_margin = False

    def title(self, title: str, introduction: str) -> None:
        """Say what is to come."""
        self._write(f"{title}\n", "bold")
        self._write(introduction, "dim")

    def chapter(self, heading: str) -> None:
        """Begin the next part."""
        self._chapters += 1
        self._write(f"\n{self._chapters}. {heading}\n", "bold")

    async def talk(
        self,
        conversation: tertulia.Conversation,
        text: str,
        *,
        attach: Sequence[tertulia.Image] | tertulia.Image = (),
        fallback: Sequence[str] = (),
    ) -> tertulia.Message | None:
        """Say something, and show the answer word by word; return it where it came to its end."""
        self._begin("you")
        self._write(f"{text} {attach}\n" if isinstance(attach, tertulia.Image) else f"{text}\n")
        stream = conversation.stream(text, attach=attach, fallback=fallback)
        return await self.answer(stream, conversation.provider)

    async def answer(self, stream: tertulia.ReplyStream, speaker: str) -> tertulia.Message | None:
        """Show an answer word by word; return it where it came to its end."""
        self._begin(speaker)
        try:
            async with stream:
                async for event in stream:
                    self._show(event)
        except tertulia.StreamInterruptedError as error:
            self._write("\n")
            self._begin(speaker)
            self._write(f"broke off ({error.kind}); that much is kept\n", "yellow")
            return None
        self._write("\n")
        return stream.reply.message

    def _show(self, event: tertulia.Event) -> None:
        match event:
            case tertulia.FallbackTaken():
                self._write(f"failed ({event.kind}), so {event.next.provider} answers\n", "yellow")
                self._begin(event.next.provider)
            case tertulia.TextDelta():
                # The rest of an answer begins with the space after its last word.
                self._write(event.text.lstrip() if self._in_margin else event.text)
            case _:
                pass

    def tree(self, boughs: Sequence[Bough]) -> None:
        """Show the branches, each with its newest words."""
        head, *lines = draw_tree(boughs, width=WIDTH - 1)
        self._write(f" {head}\n", "dim")
        for line in lines:
            self._write(f" {line}\n")

    def bill(self, report: tertulia.CostReport) -> None:
        """Show what each provider cost, and all of them."""
        for name, cost in describe_bill(report):
            self._begin(name)
            self._write(f"{cost}\n", "bold" if name == "total" else "")

    def epilogue(self, *commands: str) -> None:
        """Say what to type next."""
        self._write("\nNow you; without a key the services stay simulated:\n", "bold")
        for command in commands:
            self._write(f"   {command}\n", "cyan")

    def _begin(self, speaker: str) -> None:
        self._write(f"   {speaker:<8}", COLORS[speaker])
        self._in_margin = True

    def _write(self, text: str, style: str = "") -> None:
        self._in_margin = False
        self._console.print(Text(sanitise(text), style=style), end="", soft_wrap=True)
