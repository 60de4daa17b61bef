"""When and how the mind calls tools, and what it makes of their answers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from tertulia_simulator.conversation import Call, Message, Offer, Result, Thought, newest_text, open_turn
from tertulia_simulator.schemas import fill

ASKED = re.compile(r"(?i)\bcall\s+([A-Za-z_][\w.:-]*)\s+with\s+(?=\{)")
THEN = re.compile(r"(?i)\bthen\b[\s,:]*$")
SEARCH = re.compile(r"(?i)\bsearch(?: the web)? for\s+(.+?)\s*[.!?]*\s*$")


def use_tools(messages: Sequence[Message], offer: Offer) -> Thought | None:
    """Call the tools that are asked for, or tell what they answered; None where there is neither."""
    question, turn = newest_text(messages), open_turn(messages)
    results = [result for message in turn for result in message.results]
    steps = read_steps(question)
    taken = sum(bool(message.calls) for message in turn)
    wanted = steps[taken] if taken < len(steps) else []
    calls = [call for call in wanted if call.name in offer.callable_names]
    if not calls and offer.choice == "required" and offer.callable_names:
        name = offer.callable_names[0]
        calls = [Call(name, write(fill(offer.tools[name], question)))]
    if calls:
        return Thought(calls=tuple(calls if offer.is_parallel else calls[:1]))
    if results:
        return Thought(" ".join(map(tell, results)))
    if offer.hosted and offer.choice != "none" and (match := SEARCH.search(question)):
        return Thought(f"I searched for “{match[1]}”.", searches=(match[1],))
    return None


def read_steps(question: str) -> list[list[Call]]:
    """Read what calls a text asks for: those of each step, which the word ``then`` begins."""
    steps: list[list[Call]] = []
    end = 0
    for match in ASKED.finditer(question):
        if match.start() < end:
            continue
        try:
            arguments, length = json.JSONDecoder().raw_decode(question[match.end() :])
        except ValueError:
            continue
        if not steps or THEN.search(question[end : match.start()]):
            steps.append([])
        steps[-1].append(Call(match[1], write(arguments)))
        end = match.end() + length
    return steps


def tell(result: Result) -> str:
    """Say what a tool answered."""
    return f"{result.name} {'failed' if result.is_error else 'said'}: {result.output}."


def write(value: object) -> str:
    """Write arguments as models do: on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
