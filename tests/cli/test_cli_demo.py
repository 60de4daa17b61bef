"""``tertulia demo``: the whole story, to the letter."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

STORY = """\
One conversation, three AI providers
Offline: OpenAI, Gemini and xAI are simulated on this machine; no key, no bill.
The drivers, the HTTP, the database and the price lists are the real ones.

1. It starts with openai (gpt-6.1-sol)
   you     My name is John.
   openai  Hello John.

2. Switch to gemini (gemini-3.5-flash): it is sent the history, so it knows John
   you     Good morning!
   gemini  Hello John.

3. Switch to xai (grok-4.7): it remembers as well
   you     What is my name?
   xai     Your name is John.

4. Now xai is overloaded; openai is its fallback, and takes over
   you     Do you remember my name?
   xai     failed (overloaded), so openai answers
   openai  Your name is John.

5. All is closed; a new client reads the conversation from the SQLite file
   you     My name is John.
   openai  Hello John.               $0.000046
   you     Good morning!
   gemini  Hello John.               $0.0000615
   you     What is my name?
   xai     Your name is John.        $0.000106
   you     Do you remember my name?
   openai  Your name is John.        $0.000164

6. What it cost, exactly; a refused call costs nothing
   openai  $0.00021
   gemini  $0.0000615
   xai     $0.000106
   total   $0.0003775

Now you, with a key of your own:
   export OPENAI_API_KEY="sk-..."
   tertulia ask "Three days in Lisbon, please."
"""


def test_in_a_pipe_the_story_is_plain_text(
    start: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
):
    """
    The story is complete and without colours, whatever the user's own settings and plugins are.
    """
    monkeypatch.setenv("AI_OPENAI_MODEL", "gpt-4o")
    monkeypatch.setenv("TERTULIA_FALLBACK", "nobody")

    process = start("demo")

    assert (STORY, "") == process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_story_fits_on_one_screen():
    """
    It has at most 40 lines of at most 80 columns.
    """
    lines = STORY.splitlines()

    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


def test_the_bill_adds_up():
    """
    The costs of the answers, those of the providers, and the total are the same money.
    """
    costs = [int(fraction.ljust(12, "0")) for fraction in re.findall(r"\$0\.(\d+)", STORY)]
    answers, providers, total = costs[:4], costs[4:7], costs[7]

    assert sum(answers) == sum(providers) == total


def test_on_a_terminal_the_story_is_coloured(on_terminal: Callable[..., str]):
    """
    A terminal gets the same words, in colours.
    """
    shown = on_terminal("demo")

    assert "\x1b[1m1. It starts with openai (gpt-6.1-sol)\x1b[0m\n" in shown
    assert "\x1b[32m   openai  \x1b[0mHello John.\n" in shown
    assert STORY == re.sub(r"\x1b\[[\d;]*m", "", shown)


def test_no_color_is_honoured_on_a_terminal(on_terminal: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    """
    With NO_COLOR a terminal gets plain text.
    """
    monkeypatch.setenv("NO_COLOR", "1")

    assert STORY == on_terminal("demo", columns=100)
