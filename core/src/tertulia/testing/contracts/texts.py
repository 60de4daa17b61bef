"""Texts that a database may stumble over."""

from __future__ import annotations

import attrs
import pytest

from tertulia.contracts.store import Store
from tertulia.domain.message import Text
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import OWNER, Talk

_TEXTS = {
    "a null character": "before\0after",
    "nothing but one": "\0",
    "quotes and what escapes them": "'; DROP TABLE message; -- \\ \" %s $1 :name ?",
    "more than one plane": "北京 👩‍👩‍👧 e\u0301 \u202e\ufeff",
    "line ends": "\r\n\n\r\u2028",
    "a hundred thousand letters": "x" * 100_000,
}
_LONG = "m" * 1000


@pytest.mark.asyncio
class TextContract:
    """Whatever is said comes back as it was."""

    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS)
    async def test_a_text_of_any_kind_comes_back(self, store: Store, clock: StandingClock, text: str) -> None:
        """No character ends a text, or makes it another one."""
        talk = await Talk.begin(store, clock)
        said = await talk.append(text)
        attempt = await talk.ask(text)
        await talk.answer(attempt, Text(text))

        assert [text] * 3 == await talk.texts()
        assert said == await store.get_message(OWNER, talk.id, said.id or talk.id)

    async def test_a_name_may_be_long(self, store: Store, clock: StandingClock) -> None:
        """What a provider calls things is kept whole, however long it is."""
        talk = await Talk.begin(store, clock)
        attempt = attrs.evolve(await talk.ask("Hello"), request_id=_LONG)
        settlement = talk.settle(attempt, Text("Hi"))
        assert settlement.answer is not None
        answer = attrs.evolve(settlement.answer, resolved_model=_LONG, raw_finish_reason=_LONG)
        await store.settle(OWNER, talk.id, "main", attrs.evolve(settlement, answer=answer))

        stored = (await talk.history())[-1]
        assert (_LONG, _LONG) == (stored.resolved_model, stored.raw_finish_reason)
        assert [_LONG] == [each.request_id for each in await talk.attempts()]
