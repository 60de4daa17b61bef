"""Long conversations about nothing, in several languages, with one thing in them that is asked for later."""
# ruff: noqa: RUF001  # Chinese is written with its own commas

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import islice, product

import attrs

import tertulia
from tertulia import Conversation, Message, Role

SPEAKERS = (Role.USER, Role.ASSISTANT)


@attrs.frozen
class Story:
    """
    What is told first, what is asked last, and what is said between.

    Attributes:
        fact: What is told.

        secret: The words of it that answer the question.

        question: What is asked, in other words.

        subjects: What the rest is about; with ``remarks`` it makes the small talk.
    """

    fact: str
    secret: str
    question: str
    subjects: Sequence[str]
    remarks: Sequence[str]

    def small_talk(self) -> Iterator[tuple[str, str]]:
        """Pairs of a remark and an answer, none of which has to do with the fact."""
        for number, (remark, subject) in enumerate(product(self.remarks, self.subjects)):
            yield remark.format(subject), f"{subject}, {number}."


STORIES = {
    "English": Story(
        "By the way, the code of my bicycle lock is 7351.",
        "7351",
        "What was the code of my bicycle lock again?",
        ("soup", "rain", "opera", "chess", "wool", "coffee", "snow", "trains"),
        (
            "Tell me something nice about {}.",
            "Do people in Norway like {}?",
            "Write a short verse with {} in it.",
            "I would rather talk of {} now.",
            "Who began with {}, a king?",
            "Is there a museum for {}?",
            "Nothing beats {} on a Sunday.",
            "Translate {} into Latin, please.",
        ),
    ),
    "German": Story(
        "Übrigens wohnt meine Schwester Ilse in Passau.",
        "Passau",
        "In welcher Stadt wohnt eigentlich meine Schwester?",
        ("Suppe", "Regen", "Schach", "Wolle", "Kaffee", "Schnee", "Geigen", "Züge"),
        (
            "Erzähl mir etwas Schönes über {}.",
            "Mögen die Norweger {}?",
            "Schreib einen kurzen Vers mit {}.",
            "Lass uns lieber über {} reden.",
            "Wer hat {} erfunden?",
            "Gibt es ein Museum für {}?",
            "Nichts geht sonntags über {}.",
            "Übersetze {} ins Lateinische.",
        ),
    ),
    "Chinese": Story(
        "顺便说一下，我的自行车锁的密码是七三五一。",
        "七三五一",
        "我的自行车锁的密码是什么？",
        ("汤", "雨", "歌剧", "象棋", "羊毛", "咖啡", "雪", "火车"),
        (
            "给我讲讲{}吧。",
            "挪威人喜欢{}吗？",
            "用{}写一首短诗。",
            "我们聊聊{}。",
            "谁发明了{}？",
            "有没有{}博物馆？",
            "星期天最好的就是{}。",
            "请把{}翻译成拉丁语。",
        ),
    ),
    "Arabic": Story(
        "بالمناسبة، رمز قفل دراجتي هو زمردة.",
        "زمردة",
        "ما هو رمز قفل دراجتي؟",
        ("الحساء", "المطر", "الشطرنج", "الصوف", "القهوة", "الثلج", "القطارات", "الأوبرا"),
        (
            "حدثني عن {}.",
            "هل يحب الناس في النرويج {}؟",
            "اكتب بيتا قصيرا عن {}.",
            "لنتحدث عن {} الآن.",
            "من اخترع {}؟",
            "هل يوجد متحف عن {}؟",
            "لا شيء يوم الأحد أفضل من {}.",
            "ترجم {} إلى اللاتينية.",
        ),
    ),
}


async def chat(talk: Conversation, story: Story, turns: int) -> None:
    """Let so many turns have happened elsewhere; they are written in their order, and many at a time."""
    pairs = islice(story.small_talk(), turns)
    said = [(role, text) for pair in pairs for role, text in zip(SPEAKERS, pair, strict=True)]
    await asyncio.gather(*(talk.append(Message.of(role, text)) for role, text in said))


def ten_messages(story: Story) -> int:
    """Tokens that about ten messages of the story take."""
    said = [Message.of(Role.USER, text) for pair in islice(story.small_talk(), 5) for text in pair]
    return tertulia.count_messages(said, tertulia.TokenWeights()) + 60
