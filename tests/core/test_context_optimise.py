"""What a request holds twice is sent once, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import Document, Image, Mark, Message, OpaqueState, Role, Text, ToolCall, ToolResult
from tertulia.domain.tokens import TokenWeights
from tertulia.runtime.counting.tokens import count_messages
from tertulia.services.context.optimise import LEAST, optimise

LONG = "The weather in Lisbon is fine today. " * 10
OTHER = "The weather in Lisbon is bad by now. " * 10
PDF = Document(b"%PDF-1.4 /Type /Page" * 50, "application/pdf", name="report.pdf")
PICTURE = Image(b"\x89PNG" * 50, "image/png")
NEWEST = Message.of("user", "And now?")


def count(messages: Sequence[Message]) -> int:
    return count_messages(messages, TokenWeights())


def calls(call_id: str, name: str = "weather", **arguments: Any) -> Message:
    return Message(Role.ASSISTANT, (ToolCall(call_id, name, arguments),))


def result(call_id: str, output: str, name: str = "weather", *, is_error: bool = False) -> Message:
    return Message(Role.TOOL, (ToolResult(call_id, name, output, is_error),))


def outputs(messages: Sequence[Message]) -> list[str]:
    return [part.output for each in messages for part in each.parts if isinstance(part, ToolResult)]


def test_the_later_of_two_equal_results_names_the_first():
    """The beginning of what is sent stays as it was, and the result keeps its call."""
    messages = [calls("c1"), result("c1", LONG), calls("c2", "news"), result("c2", LONG, "news"), NEWEST]

    shorter, saved = optimise(messages, "lossless", count)

    assert messages[:3] == list(shorter[:3])
    assert result("c2", "(the same result as that of weather (c1), above)", "news") == shorter[3]
    assert NEWEST is shorter[4]
    assert saved == count(messages) - count(shorter) > 50


def test_documents_and_pictures_are_sent_once():
    """A document is named by its name, a picture by its number."""
    asked = Message(Role.USER, (Text("Read this."), PDF, PICTURE))
    again = Message(Role.USER, (PDF, Text("Once more, please."), PICTURE))
    other = Message(Role.USER, (attrs.evolve(PICTURE, data=b"other"),))

    shorter, _ = optimise([asked, other, again, NEWEST], "lossless", count)

    assert (asked, other) == tuple(shorter[:2])
    assert (
        Text("(the document report.pdf, which is above, is attached here again)"),
        Text("Once more, please."),
        Text("(image 1, which is above, is attached here again)"),
    ) == shorter[2].parts


def test_a_document_without_a_name_has_a_number():
    """Also where it is twice in one message."""
    nameless = Document(b"words " * 200, "text/plain")

    shorter, _ = optimise([Message(Role.USER, (nameless, nameless)), NEWEST], "lossless", count)

    note = Text("(document 1, which is above, is attached here again)")
    assert (nameless, note) == shorter[0].parts


@pytest.mark.parametrize(
    "twice",
    [
        Message.of("user", LONG),
        Message.of("assistant", LONG),
        Message(Role.ASSISTANT, (PICTURE,)),
        Message(Role.USER, (attrs.evolve(PICTURE, opaque=OpaqueState("one", {})),)),
        Message(Role.USER, (Image(url="https://example.com/a.png"),)),
        result("c", "short " * 20),
    ],
    ids=["words", "answer", "drawn", "state", "address", "short"],
)
def test_what_is_not_to_be_touched_stays(twice):
    """Words, answers, what only a provider can read, what may be another thing by now, what saves nothing."""
    messages = [twice, twice, NEWEST]

    assert (tuple(messages), 0) == _whole(optimise(messages, "superseded", count))


def _whole(found: tuple[Sequence[Message], int]) -> tuple[tuple[Message, ...], int]:
    return tuple(found[0]), found[1]


def test_the_newest_message_and_a_pinned_one_stay_whole():
    """What is asked now, and what somebody wants in every request."""
    asked = Message(Role.USER, (PDF, Text("a")))
    pinned = attrs.evolve(asked, mark=Mark(pinned=True))
    messages = [asked, pinned, asked]

    assert (tuple(messages), 0) == _whole(optimise(messages, "lossless", count))


def test_a_note_that_saves_nothing_is_not_made():
    """A provider may count pictures as next to nothing."""
    messages = [Message(Role.USER, (PICTURE,))] * 2 + [NEWEST]

    shorter, saved = optimise(messages, "lossless", lambda some: len(some) * 5)

    assert (messages, 0) == (list(shorter), saved)


def test_an_error_is_not_the_same_as_a_result():
    """Even where both say the same."""
    messages = [calls("c1"), result("c1", LONG, is_error=True), calls("c2"), result("c2", LONG), NEWEST]

    assert 0 == optimise(messages, "lossless", count)[1]


def test_off_is_off():
    """Then everything is sent as it is."""
    messages = [calls("c1"), result("c1", LONG), calls("c2"), result("c2", LONG), NEWEST]

    assert (messages, 0) == optimise(messages, "off", count)


def test_a_result_that_was_asked_for_again_gives_way_only_when_that_is_wanted():
    """The same call with another result: the older one is a note with ``superseded``, and stays else."""
    messages = [
        calls("c1", city="Lisbon"),
        result("c1", LONG),
        calls("c2", city="Porto"),
        result("c2", OTHER),
        calls("c3", city="Lisbon"),
        result("c3", "It rains."),
        NEWEST,
    ]

    shorter, saved = optimise(messages, "superseded", count)

    note = "(the same call was made again: see the newer result, c3, below)"
    assert [note, OTHER, "It rains."] == outputs(shorter)
    assert saved > 0
    assert (tuple(messages), 0) == _whole(optimise(messages, "lossless", count))


def test_a_failure_replaces_no_result():
    """A call that failed the second time leaves the first result what it was."""
    messages = [calls("c1"), result("c1", LONG), calls("c2"), result("c2", "gone", is_error=True), NEWEST]

    assert [LONG, "gone"] == outputs(optimise(messages, "superseded", count)[0])


def test_equal_results_of_one_call_are_there_once():
    """Neither of two notes may point to the other."""
    messages = [
        calls("c1"),
        result("c1", LONG),
        calls("c2"),
        result("c2", OTHER),
        calls("c3"),
        result("c3", LONG),
        NEWEST,
    ]

    shorter, _ = optimise(messages, "superseded", count)

    assert [
        LONG,
        "(the same call was made again: see the newer result, c3, below)",
        "(the same result as that of weather (c1), above)",
    ] == outputs(shorter)


def test_calls_that_share_an_id_are_told_apart():
    """Some servers give several calls of one answer the same id; arguments may be no JSON."""
    first = Message(
        Role.ASSISTANT,
        (ToolCall("", "weather", None, "{broken"), ToolCall("", "weather", {"city": "Porto"})),
    )
    both = Message(Role.TOOL, (ToolResult("", "weather", LONG), ToolResult("", "weather", OTHER)))
    again = Message(Role.ASSISTANT, (ToolCall("", "weather", {"city": "Porto"}),))

    shorter, _ = optimise([first, both, again, result("", "Rain."), NEWEST], "superseded", count)

    assert [LONG, "(the same call was made again: see the newer result, , below)", "Rain."] == outputs(
        shorter
    )


OUTPUTS = st.sampled_from([LONG, OTHER, "short", LONG[:LEAST], ""])
TURNS = st.lists(
    st.one_of(
        st.tuples(st.just("says"), OUTPUTS),
        st.tuples(
            st.just("attaches"), st.sampled_from([PDF, PICTURE, Document(b"words" * 99, "text/plain")])
        ),
        st.tuples(st.just("calls"), OUTPUTS, st.integers(0, 1), st.booleans()),
    ),
    max_size=12,
)


def _tell(turns: Any) -> list[Message]:
    messages: list[Message] = []
    for at, (kind, what, *more) in enumerate(turns):
        if kind == "calls":
            messages += [
                calls(f"c{at}", city=more[0]),
                result(f"c{at}", what, is_error=more[1]),
            ]
        else:
            messages.append(Message(Role.USER, (Text(what) if kind == "says" else what,)))
    return [*messages, NEWEST]


@settings(max_examples=100, deadline=None)
@given(turns=TURNS, more=TURNS, mode=st.sampled_from(["lossless", "superseded"]))
def test_every_history_keeps_what_it_says(turns, more, mode):
    """Order, roles, ids, pairs and words stay; each output is still there; it is the same each time."""
    messages = _tell(turns)

    shorter, saved = optimise(messages, mode, count)

    assert (tuple(shorter), saved) == _whole(optimise(messages, mode, count))
    assert saved == count(messages) - count(shorter) >= 0
    for old, new in zip(messages, shorter, strict=True):
        assert (old.role, old.id) == (new.role, new.id)
        assert [_place(part) for part in old.parts if not isinstance(part, Document | Image)] == [
            _place(new_part)
            for old_part, new_part in zip(old.parts, new.parts, strict=True)
            if not isinstance(old_part, Document | Image)
        ]
    if mode == "lossless":
        assert _contents(messages) == _contents(shorter)
        longer, _ = optimise([*messages[:-1], *_tell(more)], mode, count)
        assert list(shorter[:-1]) == list(longer[: len(shorter) - 1])


def _place(part: Any) -> object:
    """What may not change of a part."""
    if isinstance(part, ToolResult):
        return part.call_id, part.name, part.is_error
    return part


def _contents(messages: Sequence[Message]) -> set[object]:
    """Everything worth reading that is there at least once."""
    return {
        part.output if isinstance(part, ToolResult) else part
        for message in messages
        for part in message.parts
        if not (isinstance(part, ToolResult) and part.output.startswith("(the same result"))
        and not (isinstance(part, Text) and part.text.endswith("is attached here again)"))
        and not isinstance(part, ToolCall)
    }
