"""``tertulia chat``: a conversation at the terminal, or with the lines of a file."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, suppress

import attrs
import click

import tertulia
from tertulia_cli.access import Access, open_client
from tertulia_cli.answers import Screen, describe_kept, note_end, say_where
from tertulia_cli.chat_commands import Leave, Result, WrongCommandError, run_command
from tertulia_cli.dialogue import Dialogue, NothingSaidError
from tertulia_cli.exits import FAILED
from tertulia_cli.explaining import explain_in_chat
from tertulia_cli.lines import Command, Keyboard, Pipe, Said, UnreadableLineError, read_entry
from tertulia_cli.loop import Loop, Terminated, exit_code
from tertulia_cli.side_by_side import describe_comparison, note_ends
from tertulia_cli.terminal import STATUS, note, one_line, write

FIRST_BRANCH = "main"


@attrs.frozen
class Wish:
    """
    What to talk about, and with whom.

    Attributes:
        branch: Where a stored conversation is gone on with; None for where it was last.
    """

    access: Access
    system: str | None = None
    branch: str | None = None


def talk(wish: Wish) -> int:
    """Talk until the input is over; return the exit code."""
    with Loop() as loop:
        stack = AsyncExitStack()
        try:
            opened = loop.run(open_client(wish.access, stack))
            dialogue = Dialogue(opened.client, wish.access, system=wish.system)
            if wish.access.conversation is not None:
                loop.run(dialogue.go_on(wish.access, wish.branch))
            return _Chat(loop, dialogue, is_kept=opened.is_kept).talk()
        except KeyboardInterrupt as interruption:
            return exit_code(interruption)
        finally:
            loop.run(stack.aclose())


class _Chat:
    """Whoever types, and what they see."""

    def __init__(self, loop: Loop, dialogue: Dialogue, *, is_kept: bool) -> None:
        self._loop = loop
        self._dialogue = dialogue
        self._is_kept = is_kept
        self._is_interactive = sys.stdin.isatty()
        self._lines = Keyboard() if self._is_interactive else Pipe()
        self._has_failed = False

    def talk(self) -> int:
        """Take one entry after another until the input is over; return the exit code."""
        if self._is_interactive:
            self._greet()
        with suppress(Leave):
            while (entry := self._read()) is not None:
                self._take(entry)
        self._say_goodbye()
        return FAILED if self._has_failed and not self._is_interactive else 0

    def _read(self) -> Said | Command | None:
        try:
            entry = read_entry(lambda goes_on: self._lines.read(self._prompt(goes_on=goes_on)))
        except UnreadableLineError as error:
            self._fail(str(error))
            return Said("")
        except KeyboardInterrupt:
            self._end_prompt()
            self._say_goodbye()
            raise
        if entry is None:
            self._end_prompt()
        return entry

    def _take(self, entry: Said | Command) -> None:
        try:
            match entry:
                case Command():
                    self._show(self._loop.run(run_command(self._dialogue, entry)))
                case Said(text=text) if text.strip():
                    self._show(self._loop.run(self._dialogue.say(text)))
                case _:
                    pass
        except (WrongCommandError, NothingSaidError) as error:
            self._fail(str(error))
        except tertulia.TertuliaError as error:
            self._fail(explain_in_chat(error))
        except KeyboardInterrupt as interruption:
            is_over = self._is_over(interruption)
            if not (STATUS.clear() or is_over):
                self._end_prompt()
            if self._dialogue.kept is not None:
                note(self._dialogue.kept, label="interrupted", color="yellow")
            if is_over:
                raise
        finally:
            self._dialogue.kept = None

    def _show(self, result: Result) -> None:
        match result:
            case None:
                pass
            case str():
                write(result)
            case tertulia.Comparison():
                write(describe_comparison(result))
                note_ends(result)
                self._has_failed |= any(answer.error for answer in result.answers)
            case stream:
                self._answer(stream)

    def _answer(self, stream: tertulia.ReplyStream) -> None:
        conversation = self._dialogue.conversation
        before = conversation.branch
        screen = Screen(sys.stdout)
        try:
            reply = self._loop.run(screen.play(stream))
        except KeyboardInterrupt as interruption:
            screen.end_line(interruption)
            is_over = self._is_over(interruption)
            self._note_kept(was_shown=screen.has_shown, is_over=is_over)
            if is_over:
                raise
            return
        finally:
            screen.end_line()
        note_end(reply, explains=self._dialogue.explains)
        if conversation.branch != before:
            note(f"on the new branch {conversation.branch}; /branch {before} goes back")

    def _is_over(self, interruption: KeyboardInterrupt) -> bool:
        """Whether the chat ends with what was interrupted: Ctrl-C stops no more than an answer."""
        return not self._is_interactive or isinstance(interruption, Terminated)

    def _note_kept(self, *, was_shown: bool, is_over: bool) -> None:
        conversation = self._dialogue.conversation
        newest = self._loop.run(conversation.history(limit=1))
        kept, next_step = describe_kept(newest, was_shown=was_shown)
        text = say_where(kept, conversation.id, outlives=self._is_kept) if is_over else f"{kept}; {next_step}"
        note(text, label="interrupted", color="yellow")

    def _greet(self) -> None:
        if self._dialogue.has_begun:
            conversation = self._dialogue.conversation
            who = f"{conversation.provider}/{conversation.model}"
            note(f"{conversation.title or 'Untitled'}, on branch {conversation.branch} with {who}")
        note("/help shows what else you can type; Ctrl-D leaves")

    def _say_goodbye(self) -> None:
        if self._dialogue.has_begun and self._is_kept:
            note(f"kept as conversation {self._dialogue.conversation.id}")

    def _prompt(self, *, goes_on: bool) -> str:
        if goes_on:
            return "... "
        dialogue = self._dialogue
        branch = dialogue.conversation.branch if dialogue.has_begun else FIRST_BRANCH
        return "you> " if branch == FIRST_BRANCH else f"you ({one_line(branch)})> "

    def _end_prompt(self) -> None:
        if self._is_interactive:
            click.echo(err=True)

    def _fail(self, what: str) -> None:
        note(what, label="error", color="red")
        self._has_failed = True
