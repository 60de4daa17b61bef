"""The second reading itself, checked against the recorded clients, which sent back what they had read."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator

from recorded_extraction import Recording, expect

SENT_BACK = {("openai", "chat"): 41, ("openai", "responses"): 40, ("xai", "responses"): 10}


def test_the_tool_calls_found_are_those_that_the_recorded_clients_sent_back(recordings):
    """
    Name and arguments of 91 calls are, under their ids, in a later request of the same recorded conversation.
    """
    conversations = defaultdict(list)
    for recording in recordings:
        conversations[recording.name.rpartition("#")[0]].append(recording)

    counted, contradictions = Counter(), []
    for conversation in conversations.values():
        sent = {key: value for recording in conversation for key, value in read_sent_calls(recording)}
        for recording in conversation:
            for call in expect(recording).calls:
                if call.id in sent:
                    counted[recording.provider, recording.surface] += 1
                    if sent[call.id] != (call.name, call.arguments):
                        contradictions.append((recording.name, call, sent[call.id]))

    assert SENT_BACK == counted
    assert [] == contradictions


def read_sent_calls(recording: Recording) -> Iterator[tuple[str, tuple[str, object]]]:
    """The calls in the history of a request: by id, name and arguments."""
    for message in recording.request.get("messages", ()):
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield call["id"], (function["name"], json.loads(function["arguments"] or "{}"))
    items = recording.request.get("input", ())
    for item in items if isinstance(items, list) else ():
        if item.get("type") == "function_call":
            yield item["call_id"], (item["name"], json.loads(item["arguments"] or "{}"))
