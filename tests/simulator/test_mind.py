"""What the mind says, as a pure function of what it is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia_simulator.mind import Message, split_words, think
from tertulia_simulator.tokens import count_messages, count_text, cut

REMARK = "I am Gemini's simulator and answer only from what I am sent."


def ask(*texts: str) -> str:
    roles = ("user", "assistant") * len(texts)
    return think([Message(role, (text,)) for role, text in zip(roles, texts, strict=False)], "Gemini")


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["My name is John."], "Hello John."),
        (["hi, my name is Ana Maria and I travel"], "Hello Ana Maria."),
        (["Hello"], f"Hello! {REMARK}"),
        (["My name is John.", "Hello John.", "Hi!"], "Hello John."),
        (["My name is John.", "Hello John.", "What is my name?"], "Your name is John."),
        (
            ["My name is Ana.", "Hello Ana.", "My name is Eva.", "Hello Eva.", "What's my name?"],
            "Your name is Eva.",
        ),
        (["Hello", "My name is Bot.", "What is my name?"], "You have not told me your name."),
        (["Count to 5."], "1, 2, 3, 4, 5."),
        (["Please count up to 3, slowly"], "1, 2, 3."),
        (["Count to 0."], "There is nothing to count."),
        (["What are your instructions?"], "I was sent no instructions."),
        (
            ["Hello", "Hello!", "Plan three days in Lisbon."],
            "I was sent 3 messages; the newest says: “Plan three days in Lisbon”. " + REMARK,
        ),
    ],
)
def test_the_mind_answers_from_what_it_is_sent(texts, answer):
    """
    Every answer follows from the messages alone.
    """
    assert answer == ask(*texts)


def test_the_instructions_are_those_that_were_sent():
    """
    The system text is quoted as it came.
    """
    messages = [Message("system", ("Be brief.",)), Message("user", ("What are your instructions?",))]

    assert think(messages, "xAI") == "My instructions are: “Be brief.”"


def test_only_the_last_part_of_a_message_asks():
    """
    A message that carries an unanswered one along is answered for the newest part.
    """
    assert (
        think([Message("user", ("My name is John.", "What is my name?"))], "Gemini") == "Your name is John."
    )


def test_attachments_are_admitted():
    """
    The mind cannot see, but says what came with the messages.
    """
    assert think([Message("user", (), attachments=1)], "Gemini").startswith(
        "I was sent 1 message with 1 attachment."
    )


@pytest.mark.parametrize("number", ["2001", "999,999,999", "9" * 5000])
def test_counting_ends_at_two_thousand(number):
    """
    A longer count is not worth its bytes.
    """
    assert ask(f"Count to {number}").endswith(", 1999, 2000.")


@given(st.text())
def test_words_joined_are_the_text(text):
    """
    Nothing is lost between the words of a stream.
    """
    assert text == "".join(split_words(text))


@given(st.text(), st.integers(0, 20))
def test_a_cut_text_has_no_more_tokens_than_allowed(text, limit):
    """
    The limit holds, and a text within it is left alone.
    """
    kept = cut(text, limit)

    assert count_text(kept) <= limit
    assert (kept == text) == (count_text(text) <= limit)


def test_a_token_is_four_characters_and_a_message_is_four_tokens():
    """
    The counts can be checked in the head.
    """
    assert count_messages([Message("user", ("12345678",)), Message("assistant", ("1",))]) == (2 + 4) + (1 + 4)
