"""``tertulia demo``: one conversation that moves between three providers, told as it happens."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.text import Text

import tertulia
from tertulia_cli.terminal import make_console, run, sanitise
from tertulia_simulator import Simulator

if TYPE_CHECKING:
    from rich.console import Console

TITLE = "One conversation, three AI providers"
INTRODUCTION = """\
Offline: OpenAI, Gemini and xAI are simulated on this machine; no key, no bill.
The drivers, the HTTP, the database and the price lists are the real ones.
"""
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
                stage.chapter(f"It starts with openai ({conversation.model})")
                await stage.talk(conversation, "My name is John.")

                await conversation.switch("gemini")
                stage.chapter(
                    f"Switch to gemini ({conversation.model}): it is sent the history, so it knows John"
                )
                await stage.talk(conversation, "Good morning!")

                await conversation.switch("xai")
                stage.chapter(f"Switch to xai ({conversation.model}): it remembers as well")
                await stage.talk(conversation, "What is my name?")

                simulator.fail("xai", "overloaded", times=None)
                stage.chapter("Now xai is overloaded; openai is its fallback, and takes over")
                await stage.talk(conversation, "Do you remember my name?", fallback=["openai"])

            async with open_client(store, simulator) as client:
                [record] = await client.list()
                conversation = await client.get(record.id)
                stage.chapter("All is closed; a new client reads the conversation from the SQLite file")
                stage.history(await conversation.history())

                stage.chapter("What it cost, exactly; a refused call costs nothing")
                stage.bill(await conversation.cost())

    stage.epilogue('export OPENAI_API_KEY="sk-..."', f'{own_name()} ask "Three days in Lisbon, please."')


def own_name() -> str:
    """What a person types to run this very command from where they are."""
    typed = Path(sys.argv[0])
    if shutil.which("tertulia") is not None or typed.name != "tertulia":
        return "tertulia"
    near = typed.absolute().is_relative_to(Path.cwd())
    return str(typed.absolute().relative_to(Path.cwd()) if near else typed)


def open_client(store: str, simulator: Simulator) -> tertulia.Client:
    """A client of the simulated services, whatever the user's own configuration and plugins are."""
    return tertulia.open(store=store, providers=simulator.providers(), environ={"TERTULIA_PLUGINS": ""})


class Stage:
    """How the story looks: plain text in a pipe, coloured on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapters = 0

    def title(self, title: str, introduction: str) -> None:
        """Say what is to come."""
        self._write(f"{title}\n", "bold")
        self._write(introduction, "dim")

    def chapter(self, heading: str) -> None:
        """Begin the next part."""
        self._chapters += 1
        self._write(f"\n{self._chapters}. {heading}\n", "bold")

    async def talk(
        self, conversation: tertulia.Conversation, text: str, *, fallback: Sequence[str] = ()
    ) -> None:
        """Say something, and show the answer word by word."""
        self._begin("you")
        self._write(f"{text}\n")
        self._begin(conversation.provider)
        async with conversation.stream(text, fallback=fallback) as stream:
            async for event in stream:
                match event:
                    case tertulia.FallbackTaken():
                        self._write(f"failed ({event.kind}), so {event.next.provider} answers\n", "yellow")
                        self._begin(event.next.provider)
                    case tertulia.TextDelta():
                        self._write(event.text)
                    case _:
                        pass
        self._write("\n")

    def history(self, messages: Sequence[tertulia.Message]) -> None:
        """Show what was said, by whom, and what each answer cost."""
        width = max(len(message.text) for message in messages)
        for message in messages:
            self._begin(message.provider or "you")
            self._write(f"{message.text:<{width}}  {message.cost}\n" if message.cost else f"{message.text}\n")

    def bill(self, report: tertulia.CostReport) -> None:
        """Show what each provider cost, and all of them."""
        for provider, total in report.by_provider.items():
            self._begin(provider)
            self._write(f"{total}\n")
        self._begin("total")
        self._write(f"{report.total}\n", "bold")

    def epilogue(self, *commands: str) -> None:
        """Say what to type next."""
        self._write("\nNow you, with a key of your own:\n", "bold")
        for command in commands:
            self._write(f"   {command}\n", "cyan")

    def _begin(self, speaker: str) -> None:
        self._write(f"   {speaker:<8}", COLORS[speaker])

    def _write(self, text: str, style: str = "") -> None:
        self._console.print(Text(sanitise(text), style=style), end="", soft_wrap=True)
