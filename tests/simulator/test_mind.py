"""What the mind says, as a pure function of what it is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia_simulator.conversation import Message, SentFile
from tertulia_simulator.images import SentImage
from tertulia_simulator.mind import split_words, think
from tertulia_simulator.tokens import count_messages, count_text, cut

GO_ON = "Your answer broke off. Go on exactly where it stopped, without repeating any of it."
SEEN = "I see a PNG image of 68 bytes, 1 \N{MULTIPLICATION SIGN} 1 pixels."
PICTURE = SentImage("image/png", 68, pixels=(1, 1))
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
    Asked for nothing in particular, the mind says what came with the messages.
    """
    message = Message("user", (), (PICTURE,), files=(SentFile(),))

    assert think([message], "Gemini").startswith("I was sent 1 message with 2 attachments.")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is in this picture?", SEEN),
        ("Please describe the image", SEEN),
        ("What do you see?", SEEN),
        ("What's this?", SEEN),
        ("Describe it.", SEEN),
        (
            "What is this good for?",
            f"I was sent 1 message with 1 attachment; the newest says: {{}}. {REMARK}",
        ),
    ],
)
def test_an_image_is_described_when_asked_for(question, answer):
    """
    Its type, its size and its measures tell that it arrived whole.
    """
    assert answer.format(f"“{question}”") == think([Message("user", (question,), (PICTURE,))], "Gemini")


def test_the_newest_image_is_described():
    """
    It may be of an earlier turn, and the last of several.
    """
    messages = [
        Message("user", ("Look.",), (PICTURE,)),
        Message("user", ("And here.",), (PICTURE, SentImage(url="https://example.com/b.jpg"))),
        Message("assistant", ("I see.",)),
        Message("user", ("What is in the picture?",)),
    ]

    assert "I see an image at https://example.com/b.jpg." == think(messages, "Gemini")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is in this picture?", "I was sent no image."),
        ("What is this?", f"I was sent 1 message; the newest says: “What is this?”. {REMARK}"),
    ],
)
def test_where_there_is_no_image_none_is_described(question, answer):
    """
    That an image did not arrive is seen in the answer.
    """
    assert answer == ask(question)


@pytest.mark.parametrize("begun", ["", "1", "1, 2,", "1, 2, 3, 4"])
def test_a_broken_answer_is_gone_on_with(begun):
    """
    The rest, and nothing but the rest, of what would have been said.
    """
    assert "1, 2, 3, 4, 5." == begun + ask("Count to 5.", begun, GO_ON)


@given(st.text(max_size=300), st.integers(0, 400))
def test_any_answer_can_be_gone_on_with(question, length):
    """
    Wherever it broke off, the beginning and the rest are the whole, as long as there is a rest.
    """
    whole = ask(question)
    begun = whole[: min(length, len(whole) - 1)]

    assert whole == begun + ask(question, begun, GO_ON)


def test_going_on_can_break_off_too():
    """
    The rest of the rest follows from the same messages.
    """
    assert " 4, 5." == ask("Count to 5.", "1,", GO_ON, " 2, 3,", GO_ON)


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        ([GO_ON], "No answer of mine broke off."),
        (["Count to 5.", "One, two", GO_ON], "I do not know that answer, so I cannot go on with it."),
        (["Count to 5.", "1, 2, 3, 4, 5.", GO_ON], "That was all."),
    ],
)
def test_what_did_not_break_off_is_not_gone_on_with(texts, answer):
    """
    Without a beginning of its own the mind says so.
    """
    assert answer == ask(*texts)


def test_two_questions_in_a_row_are_no_broken_answer():
    """
    Only an assistant's words can be gone on with.
    """
    messages = [Message("user", ("Count to 5.",)), Message("user", (GO_ON,))]

    assert "No answer of mine broke off." == think(messages, "xAI")


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
