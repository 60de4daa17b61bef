"""Titles that a model thinks of."""

from __future__ import annotations

from tertulia.domain.conversation import AttemptPurpose
from tertulia.domain.exchange import Target
from tertulia.domain.message import Message, MessageStatus, Role
from tertulia.errors import BranchError
from tertulia.services.budgets import Spending
from tertulia.services.core import Core
from tertulia.services.path import may_be_sent
from tertulia.services.side_calls import SideCall, ask_beside, read_words
from tertulia.services.tree import Line, Tree

INSTRUCTIONS = (
    "Write a title for the conversation that is quoted below: at most eight words, in its language, "
    "without quotation marks. Answer with the title alone."
)
LONGEST_TITLE = 80
FIRST_MESSAGES = 8
MOST_CHARACTERS = 2000


async def suggest_title(core: Core, tree: Tree, line: Line, target: Target | None = None) -> str:
    """Ask for a title, and put the call into the ledger; see :meth:`tertulia.Conversation.suggest_title`."""
    messages = await core.store.get_messages(
        core.owner, tree.id, line.name, before_depth=FIRST_MESSAGES, limit=FIRST_MESSAGES
    )
    asked = [each for each in messages if each.role in (Role.USER, Role.ASSISTANT) and each.text.strip()]
    now = core.clock.now()
    asked = [each for each in asked if each.status is not MessageStatus.PENDING and may_be_sent(each, now)]
    if not asked or asked[0].id is None:
        raise BranchError(
            f"nothing was said yet on branch {line.name!r}, so there is nothing to name",
            branch=line.name,
            next_step="say something first, or rename the conversation yourself",
        )
    call = SideCall(
        tree.id,
        line.name,
        asked[0].id,
        AttemptPurpose.TITLE,
        target or Target(line.branch.provider, line.branch.model),
        (Message.of(Role.SYSTEM, INSTRUCTIONS), Message.of(Role.USER, _quote(asked))),
        Spending(core, tree.id),
    )
    return _tidy(read_words(await ask_beside(core, call)))


async def give_title(core: Core, tree: Tree, line: Line, target: Target) -> None:
    """Give a conversation a title of its own accord, unless somebody was faster."""
    title = await suggest_title(core, tree, line, target)
    record = await core.store.get_conversation(core.owner, tree.id)
    if record.title is None and title:
        await core.store.update_title(core.owner, tree.id, title, core.clock.now())
        tree.title = title


def _quote(messages: list[Message]) -> str:
    return "\n\n".join(f"{each.role.value}: {each.text[:MOST_CHARACTERS]}" for each in messages)


def _tidy(answer: str) -> str:
    """The first line of an answer, without what models like to put around a title."""
    lines = answer.splitlines()
    title = " ".join((lines[0] if lines else "").removeprefix("Title:").split()).strip(" \"'*#“”«»„.")
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"
