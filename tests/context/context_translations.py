"""What each service demands of a history, looked for in the bodies that the drivers would send."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def find_refusals(service: str, body: Json, system: Sequence[str]) -> Iterator[str]:
    """
    Say what a service would refuse.

    Args:
        system: The system texts, in order.
    """
    yield from _CHECKS[service](body, [text for text in system if text])


def _check_responses(body: Json, system: list[str]) -> Iterator[str]:
    if body.get("instructions", "") != "\n\n".join(system):
        yield "the instructions are not the system's words"
    yield from _check_items(body["input"])


def _check_input(body: Json, system: list[str]) -> Iterator[str]:
    """Of a speaker that has the system's words among the rest."""
    items = body["input"]
    if [item.get("content") for item in items[: len(system)]] != system:
        yield "the system's words do not come first"
    yield from _check_items(items[len(system) :])


def _check_items(items: Sequence[Json]) -> Iterator[str]:
    waiting: list[str] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            if item["call_id"] not in waiting:
                yield f"an output of {item['call_id']} without its call"
            else:
                waiting.remove(item["call_id"])
        elif waiting and item.get("role") == "user":
            yield f"no output of {', '.join(waiting)}"
            waiting.clear()
        if item.get("role") == "system":
            yield "a system message in the middle"
    if waiting:
        yield f"no output of {', '.join(waiting)} in the end"
    if items[-1].get("role") != "user" and items[-1].get("type") != "function_call_output":
        yield "it ends with nothing to answer"


def _check_chat(body: Json, system: list[str]) -> Iterator[str]:
    messages = body["messages"]
    if [each["content"] for each in messages if each["role"] == "system"] != system:
        yield "the system's words are not the system's"
    if any(each["role"] != "system" for each in messages[: len(system)]):
        yield "the system's words do not come first"
    place = 0
    while place < len(messages):
        calls = [each["id"] for each in messages[place].get("tool_calls", ())]
        answers = []
        place += 1
        while place < len(messages) and messages[place]["role"] == "tool":
            answers.append(messages[place]["tool_call_id"])
            place += 1
        if sorted(calls) != sorted(answers):
            yield f"{calls} are called and {answers} answered"
    if messages[-1]["role"] not in ("user", "tool"):
        yield "it ends with nothing to answer"


def _check_gemini(body: Json, system: list[str]) -> Iterator[str]:
    said = [part["text"] for part in body.get("systemInstruction", {"parts": []})["parts"]]
    if said != system:
        yield "the instruction is not the system's words"
    contents = body["contents"]
    roles = [turn["role"] for turn in contents]
    if roles != ["user" if number % 2 == 0 else "model" for number in range(len(roles))]:
        yield f"the roles do not take turns: {roles}"
    if roles[-1] != "user":
        yield "it ends with nothing to answer"
    calls: list[str] = []
    for turn in contents:
        answers = _find(turn, "functionResponse")
        if sorted(answers) != sorted(calls):
            yield f"{calls} are called and {answers} answered"
        calls = _find(turn, "functionCall")
    if calls:
        yield f"{calls} are called in the end"


def _find(turn: Json, kind: str) -> list[str]:
    return [part[kind]["id"] for part in turn["parts"] if kind in part]


_CHECKS: dict[str, Callable[[Json, list[str]], Iterator[str]]] = {
    "openai": _check_responses,
    "openai-chat": _check_chat,
    "gemini": _check_gemini,
    "xai": _check_input,
    "xai-chat": _check_chat,
}
