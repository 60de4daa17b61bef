"""A branch as a page to read."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import Document, Mark, Message, Money, Role, Text, ToolCall, ToolResult
from tertulia.domain.conversation import Branch, ConversationRecord
from tertulia.domain.message import Foreign, MessageStatus, Part, Reasoning, Refusal
from tertulia.domain.usage import Cost, CostTotal
from tertulia.services.transfer.markdown import render_markdown

MOMENT = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
RECORD = ConversationRecord(
    id=UUID(int=1),
    owner="ann",
    title="Trip to Lisbon",
    branch=Branch("main", "openai", "gpt-6.1-sol", segment=UUID(int=2)),
    message_count=2,
    cost=CostTotal(Money.from_usd("0.01"), 1),
    created_at=MOMENT,
    updated_at=MOMENT,
    tags=("travel",),
    metadata={"seats": 2},
)
QUESTION = attrs.evolve(Message.of(Role.USER, "Where to?"), created_at=MOMENT)
ANSWER = Message(
    Role.ASSISTANT,
    (Text("Belém."),),
    provider="openai",
    model="gpt-6.1-sol",
    resolved_model="snapshot",
    cost=Cost(Money.from_usd("0.01")),
    created_at=MOMENT,
)


def body(*parts: Part) -> str:
    """What a page says below the heading of its only message."""
    page = render_markdown(RECORD, [attrs.evolve(QUESTION, parts=parts)])
    return page.split("## User · 2026-11-22 12:30:00 UTC\n", 1)[1].strip("\n")


def test_a_page_says_who_said_what():
    """Facts first, then each message with its speaker, its time and its cost."""
    expected = """\
---
title: "Trip to Lisbon"
id: "00000000-0000-0000-0000-000000000001"
branch: "main"
created: "2026-11-22T12:30:00+00:00"
updated: "2026-11-22T12:30:00+00:00"
messages: 2
cost: "at least $0.01"
tags: ["travel"]
metadata: {"seats":2}
---

# Trip to Lisbon

## User · 2026-11-22 12:30:00 UTC

Where to?

## Assistant · openai/snapshot · 2026-11-22 12:30:00 UTC · $0.01

Belém.
"""
    assert expected == render_markdown(RECORD, [QUESTION, ANSWER])


def test_a_conversation_may_have_no_title_and_no_word():
    """It is a page all the same."""
    page = render_markdown(attrs.evolve(RECORD, title=None, tags=(), metadata={}), [])
    assert page.endswith('cost: "at least $0.01"\n---\n\n# Untitled conversation\n')


def test_a_heading_says_what_became_of_a_message():
    """Whether it is whole, what it cost as far as that is known, and what people said of it."""
    message = attrs.evolve(
        ANSWER, status=MessageStatus.INTERRUPTED, cost=None, mark=Mark(pinned=True, hidden=True)
    )
    page = render_markdown(RECORD, [message])
    assert "12:30:00 UTC · cost unknown · interrupted · pinned · hidden\n" in page


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Reasoning("Two\nlines"), "> *Reasoning*\n>\n> Two\n> lines"),
        (Reasoning(""), ""),
        (Refusal("No."), "*Refused:*\n\nNo."),
        (ToolCall("1", "find", {"q": "ö"}), '*Calls* `find`\n\n```json\n{\n  "q": "ö"\n}\n```'),
        (ToolCall("1", "find", None, "{"), "*Calls* `find`\n\n```\n{\n```"),
        (ToolResult("1", "find", "```"), "`find` *returned*\n\n````\n```\n````"),
        (ToolResult("1", "find", "no", is_error=True), "`find` *failed with*\n\n```\nno\n```"),
        (Document(data=b"x", name="a`b.txt"), "*Attached:* `` [document a`b.txt, 1 bytes] ``"),
        (Foreign("web_search_call"), "*A part that only its provider understands:* `web_search_call`"),
    ],
)
def test_every_part_is_shown(part, expected):
    """Calls and results in code, the rest in words."""
    assert expected == body(part)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Mine\ntext", "### Mine\ntext"),
        ("###### Deep", "###### Deep"),
        ("  ## Assistant · openai", "  #### Assistant · openai"),
        ("#hashtag", "#hashtag"),
        ("Mine\n====", "Mine\n\\===="),
        ("Mine\n---", "Mine\n\\---"),
        ("Rule\n\n---", "Rule\n\n---"),
        ("```\n# code\n```\n# not", "```\n# code\n```\n### not"),
        ("````\n```\n# code", "````\n```\n# code\n````"),
        ("~~~ python\n# code\n~~~", "~~~ python\n# code\n~~~"),
        ("```inline``` # no\n# Yes", "```inline``` # no\n### Yes"),
        ("<!-- swallow", "&lt;!-- swallow"),
        ("a < b\n1 <2", "a < b\n1 <2"),
        ("one\x0c# two", "one\n### two"),
    ],
)
def test_no_words_can_look_like_the_page(text, expected):
    """Headings go deeper, code is closed, and HTML is words; code itself stays as it is."""
    assert expected == body(Text(text))


@settings(max_examples=60)
@given(text=st.text(alphabet="#`~=- \n\rab<!\\>"))
def test_the_next_message_is_always_one(text):
    """Outside code only the page has headings of the first two levels, whatever is said."""
    page = render_markdown(RECORD, [attrs.evolve(QUESTION, parts=(Text(text),)), ANSWER])
    fence, found = "", []
    for line in page.split("---\n", 2)[2].splitlines():
        bare = line.strip()
        run = bare[: len(bare) - len(bare.lstrip(bare[:1]))] if bare[:1] in ("`", "~") else ""
        if fence:
            fence = "" if bare == run and run.startswith(fence) else fence
        elif (
            len(run) >= 3 and not line.startswith("    ") and not (run[0] == "`" and "`" in bare[len(run) :])
        ):  # as Markdown says
            fence = run
        elif line.startswith(("# ", "## ")):
            found.append(line[:6])

    assert ["# Trip", "## Use", "## Ass"] == found
