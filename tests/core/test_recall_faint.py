"""What was hardly asked for is not quoted, however much room there is."""

from benchmarks.context_ours import open_house
from benchmarks.context_talks import Talk, Turn

from tertulia import ContextOptions

SAID = ("My back hurts a little.", "The bus was late again.", "What is on, I asked.", "It rains a lot.")
ANSWERED = ("That sounds nice.", "I see.", "Good to hear!", "Oh, that is a pity.", "Tell me more about it.")
TALK = Talk(
    "small talk",
    tuple(
        turn
        for number in range(80)
        for turn in (
            Turn(f"{number}u", "user", f"{SAID[number % 4]} Day {number}."),
            Turn(f"{number}a", "assistant", f"{ANSWERED[number % 5]} Day {number}."),
        )
    ),
    (),
)


async def test_one_fact_among_small_talk_brings_what_is_near_it_and_no_more():
    """
    There is room for all of the talk, and few messages of it have to do with the question.
    """
    turns = (*TALK.turns[:20], Turn("fact", "user", "My name is John."), *TALK.turns[21:])
    async with open_house() as house:
        conversation, names = await house.find(Talk("fact", turns, ()))

        context = await conversation.preview_context(
            "What is my name?", context=ContextOptions(max_tokens=20_000, max_messages=4)
        )

    recalled = {names[each.message_id] for each in context.report.recalled}
    assert "fact" in recalled
    assert len(recalled) < 40
