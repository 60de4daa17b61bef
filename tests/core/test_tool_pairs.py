"""Whatever a history holds, what is sent has a result for each call and a call for each result."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tertulia import Message, Role, Text, ToolCall, ToolResult
from tertulia.services.context.pairs import MISSING, repair_pairs

IDS = st.sampled_from(["a", "b", "c"])
CALLS = st.lists(IDS, max_size=3).map(
    lambda ids: Message(Role.ASSISTANT, (Text("said"), *(ToolCall(each, "look", {}) for each in ids)))
)
RESULTS = st.lists(IDS, min_size=1, max_size=3).map(
    lambda ids: Message(Role.TOOL, tuple(ToolResult(each, "look", f"seen {each}") for each in ids))
)
SAID = st.sampled_from([Message.of("user", "hi"), Message.of("system", "be kind")])


def call(*ids):
    return Message(Role.ASSISTANT, tuple(ToolCall(each, "look", {}) for each in ids))


def results(*outputs):
    return Message(Role.TOOL, tuple(ToolResult(each, "look", each.upper()) for each in outputs))


@given(st.lists(st.one_of(SAID, CALLS, RESULTS), max_size=12))
def test_every_call_has_its_result_right_after_it(history):
    """For any history: results follow their calls at once, one each and in order; nothing else is changed."""
    repaired, notes = repair_pairs(history)

    for place, message in enumerate(repaired):
        following = repaired[place + 1] if place + 1 < len(repaired) else None
        if message.tool_calls:
            assert Role.TOOL is following.role
            assert [each.id for each in message.tool_calls] == [part.call_id for part in following.parts]
        if message.role is Role.TOOL:
            assert place > 0
            assert repaired[place - 1].tool_calls
    others = [message for message in history if message.role is not Role.TOOL]
    assert others == [message for message in repaired if message.role is not Role.TOOL]
    assert (repaired, []) == repair_pairs(repaired)
    assert bool(notes) <= (repaired != tuple(history))


@given(st.lists(st.one_of(SAID, CALLS, RESULTS), max_size=12))
def test_a_result_that_fits_is_never_lost(history):
    """A result is left out only where no open call has its name."""
    repaired, _ = repair_pairs(history)
    kept = [part.output for message in repaired if message.role is Role.TOOL for part in message.parts]
    open_calls: set[str] = set()
    fitting = []
    for message in history:
        if message.role is Role.TOOL:
            fitting += [part.output for part in message.parts if part.call_id in open_calls]
            open_calls -= {part.call_id for part in message.parts}
        else:
            open_calls = {each.id for each in message.tool_calls}

    assert sorted(set(fitting)) == sorted({output for output in kept if output != MISSING})


def test_results_that_came_one_by_one_are_one_message():
    """Results in several messages are joined, in the order of the calls."""
    joined, notes = repair_pairs([call("a", "b"), results("b"), results("a")])

    assert ([results("a", "b").parts], []) == ([message.parts for message in joined[1:]], notes)


def test_what_was_changed_is_told():
    """Each kind of change has a sentence with its number."""
    _, notes = repair_pairs([results("x"), call("a", "b"), results("a", "z")])

    assert [
        "1 tool call(s) without a result were sent with an error as their result",
        "2 tool result(s) without their call were left out",
    ] == notes


def test_calls_of_one_name_take_their_own_results():
    """Where two calls have the same id, the first result is the first one's; what is left over goes."""
    given = Message(Role.TOOL, tuple(ToolResult("a", "look", output) for output in ("1", "2", "3")))
    repaired, notes = repair_pairs([call("a", "a"), given])

    assert ["1", "2"] == [part.output for part in repaired[1].parts]
    assert ["1 tool result(s) without their call were left out"] == notes
    missing, notes = repair_pairs([call("a", "a"), results("a")])
    assert ["A", MISSING] == [part.output for part in missing[1].parts]
    assert ["1 tool call(s) without a result were sent with an error as their result"] == notes
