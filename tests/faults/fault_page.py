"""The table of faults in the documentation, as it follows from what is played."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fault_cases import GROUPS
from fault_player import Fault
from fault_runs import is_cut

from tertulia import ErrorKind
from tertulia.wire.errors import ERROR_CLASSES

PAGE = Path(__file__).parents[2] / "docs/explanation/reliability.md"
BEGIN, END = "<!-- wire faults: begin -->", "<!-- wire faults: end -->"

_RETRIES = {"yes": "up to twice", "once": "once", "no": "no"}
_FALLBACKS = {
    "yes": "yes",
    "no": "no",
    "no (opt-in)": "if `fall_back_on` names it",
    "policy": "as `on_interrupt` says",
}


def render_tables() -> str:
    """A table for each group of faults."""
    return "\n\n".join("\n".join([f"### {title}", "", *_render(faults)]) for title, faults in GROUPS.items())


def read_tables() -> str:
    """The same as the page has it."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def _render(faults: tuple[Fault, ...]) -> Iterator[str]:
    yield "| what goes wrong | what you get | asked again | another is asked |"
    yield "|---|---|---|---|"
    for fault in faults:
        expect = fault.expect
        title = fault.title.removeprefix("stream: ").replace("gemini:", "Gemini:")
        again = _RETRIES.get(expect.retry, expect.retry.replace("after >=", "after "))
        fallback = _FALLBACKS[expect.fallback]
        if expect.outcome == "text" and expect.fallback == "no":
            fallback = "not needed"
        yield f"| {title} | {_say_outcome(fault)} | {again} | {fallback} |"


def _say_outcome(fault: Fault) -> str:
    if fault.expect.outcome == "text":
        return "the answer"
    kind = ErrorKind(fault.expect.kind or "")
    if is_cut(fault):
        cause = "" if kind is ErrorKind.INTERRUPTED else f", `{kind}`"
        return f"the part that came, and `StreamInterruptedError`{cause}"
    name = "ConnectionFailedError" if kind is ErrorKind.CONNECTION else ERROR_CLASSES[kind].__name__
    return f"`{name}`"
