"""
Recorded answers of the Responses API with something else in them: whatever it is, an error is one of ours.

The recordings are not part of the project: ``TERTULIA_TEST_DATA`` names their folder.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from wire_mutations import FOREIGN, mutate, read_answers

from tertulia import Message, ProtocolError, ProviderReply, Request, Role, Target
from tertulia.runtime.serialization import decode_parts, encode_parts
from tertulia.wire import ErrorAnswer, StreamEnd, refusals
from tertulia.wire.protocol import Rendered
from tertulia.wire.responses import Dialect, ResponsesStream, parse_response, render_request

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

MUTATIONS = 300


@pytest.fixture(scope="module")
def answers() -> list[list[dict[str, Any]]]:
    """What was recorded: the events of a stream, or a whole answer alone."""
    return read_answers("/responses")


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_answer_is_read_or_refused(answers, seed):
    """
    Wherever a value is another one, the answer is read without it, or refused in our own words.
    """
    dice = random.Random(seed)  # noqa: S311  # for variety, not for secrecy
    outcomes = [outcome(mutate(dice.choice(answers), dice)) for _ in range(MUTATIONS)]

    assert {ProviderReply, ProtocolError, ErrorAnswer} >= set(outcomes)
    assert outcomes.count(ProviderReply) > MUTATIONS / 2


def outcome(documents: list[dict[str, Any]]) -> type:
    """What an answer is read as; one that is read is stored, and sent back."""
    try:
        reply = read(documents)
    except (ProtocolError, ErrorAnswer) as error:
        return type(error)
    if "\ud83d" not in repr(reply.parts) and "\\ud83d" not in repr(reply.parts):
        assert reply.parts == decode_parts(encode_parts(reply.parts))
    request = Request(Target("mine", "some-model"), (Message(Role.ASSISTANT, reply.parts),))
    for dialect in (Dialect(), Dialect(system_as_instructions=False, assistant_as_string=True)):
        assert isinstance(render_request(request, dialect, reasons=True), Rendered)
    return type(reply)


def read(documents: list[dict[str, Any]]) -> ProviderReply:
    if len(documents) == 1:
        return parse_response(documents[0], "mine")
    stream = ResponsesStream("mine")
    for document in documents:
        stream.read(document)
    return stream.end(StreamEnd.CLOSED)


@pytest.mark.parametrize("value", FOREIGN)
def test_any_member_can_be_left_out(value):
    """
    Whatever a member holds, the request without it can be made, and what is not there is not missed.
    """
    rendered = Rendered({"a": {"b": value}, "c": value}, added=frozenset({"a.b", "c.d"}))

    assert {"c": value} == refusals.leave_out(rendered, ["a.b"]).body
    assert refusals.leave_out(rendered, ["c.nothing", "nothing", "a.nothing.b"]).body.keys() <= {"a", "c"}
