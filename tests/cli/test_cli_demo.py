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

2. Switch to gemini (gemini-3.5-flash): it is sent the history, and an image
   you     Good morning!
   gemini  Hello John.
   you     What is this? [image/png, 78 bytes]
   gemini  I see a PNG image of 78 bytes, 8 \N{MULTIPLICATION SIGN} 8 pixels.

3. Switch to xai (grok-4.7): it remembers as well
   you     What is my name?
   xai     Your name is John.

4. Fork before that question; on the branch “mary” something else was said
   you     My name is Mary.
   xai     Hello Mary.
   you     What is my name?
   xai     Your name is Mary.

5. Back on main xai is overloaded; openai is its fallback, and takes over
   you     Do you remember my name?
   xai     failed (overloaded), so openai answers
   openai  Your name is John.

6. An answer breaks off: what came is kept, and the rest is asked for
   you     Count to 9.
   xai     1, 2, 3, 4,
   xai     broke off (interrupted); that much is kept
   xai     5, 6, 7, 8, 9.

7. All is closed; a new client reads the branches from the SQLite file
   branch     messages         answered by   newest
   main       12               xai/grok-4.7  1, 2, 3, 4,
   ├─ mary    4 more after 6   xai/grok-4.7  Your name is Mary.
 * └─ main-2  1 more after 11  xai/grok-4.7  1, 2, 3, 4, 5, 6, 7, 8, 9.

8. What it cost, exactly; for the answer that broke off nobody sent a bill
   openai  $0.000772
   gemini  $0.0006045
   xai     at least $0.002818
   total   at least $0.0041945

Now you; without a key the services stay simulated:
   export OPENAI_API_KEY="sk-..."
   tertulia chat
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


def test_the_story_is_short():
    """
    It has at most 52 lines of at most 80 columns.
    """
    lines = STORY.splitlines()

    assert len(lines) <= 52
    assert max(map(len, lines)) <= 80


def test_the_bill_adds_up():
    """
    The costs of the providers and the total are the same money.
    """
    *providers, total = [int(digits.ljust(12, "0")) for digits in re.findall(r"\$0\.(\d+)", STORY)]

    assert sum(providers) == total
    assert len(providers) == 3


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
