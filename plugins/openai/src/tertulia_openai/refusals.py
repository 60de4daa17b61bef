"""What OpenAI is certain to refuse, beyond what stands in the table of models."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import cast

from tertulia import Request
from tertulia_openai.models import THINK_UNASKED

MOST_STOPS = 4
LONGEST_END_USER = 128
MOST_METADATA, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512

NOT_WHILE_THINKING = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "stop"})
"""What a model that can do both takes only while it does not think."""

_OWN_WORDS = frozenset({"reasoning", "reasoning_effort"})


def find_refusal(request: Request, option: str, value: object, *, api: str) -> str | None:
    """
    Say why OpenAI refuses an option; None where it is not known to.

    Args:
        request: What will be asked.
        option: The option, which the model may otherwise have.
        value: What it is set to.
        api: ``"responses"`` or ``"chat"``.
    """
    model = request.target.model
    if option in NOT_WHILE_THINKING and thinks(request):
        return f"{model} takes it only while it does not think"
    if (option, value, api) == ("reasoning_effort", "max", "chat"):
        return "Chat Completions have no 'max'"
    if option == "stop" and _length(value) > MOST_STOPS:
        return f"OpenAI takes at most {MOST_STOPS} of them, not {_length(value)}"
    if option == "end_user" and _length(value) > LONGEST_END_USER:
        return f"OpenAI takes at most {LONGEST_END_USER} characters, not {_length(value)}"
    return _find_problem(value) if option == "metadata" else None


def thinks(request: Request) -> bool:
    """Whether a model thinks, as it is told or of itself; what it is told in ``extra`` is not read."""
    options, target = request.options, request.target
    if _OWN_WORDS & (options.extra or {}).get(target.provider, {}).keys():
        return False
    if options.reasoning_effort is None:
        return any(info.covers(target.model) for info in THINK_UNASKED)
    return options.reasoning_effort != "none"


def _find_problem(metadata: object) -> str | None:
    pairs = cast("Mapping[str, str]", metadata)  # as Options has it
    if len(pairs) > MOST_METADATA:
        return f"OpenAI takes at most {MOST_METADATA} pairs, not {len(pairs)}"
    if any(len(name) > LONGEST_KEY or len(value) > LONGEST_VALUE for name, value in pairs.items()):
        return (
            f"OpenAI takes keys of {LONGEST_KEY} characters and values of {LONGEST_VALUE}, and no longer ones"
        )
    return None


def _length(value: object) -> int:
    return len(value) if isinstance(value, Sized) else 0
