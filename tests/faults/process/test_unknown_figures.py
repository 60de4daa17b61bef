"""What a service does not say, or says otherwise than expected, and what may be spent."""

from __future__ import annotations

import pytest
from process_cases import OPENAI, history, open_at, say

from providers.driver_cases import DRIVERS
from providers.raw_server import RawServer, answer, stream
from tertulia import BudgetExceededError, CostTotal, ErrorKind, MessageStatus, Money, Options, Usage

NOTHING_KNOWN = Usage(None, None, None, None, None)


def tell(name: str, **changes: object) -> dict:
    """A whole answer of a driver's service with some of its facts changed, None being left out."""
    facts = {**DRIVERS[name].whole, **changes}
    return {key: value for key, value in facts.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("openai", {"model": "other-9", "usage": None}),
        ("openai-chat", {"model": "other-9", "usage": None}),
        ("gemini", {"modelVersion": "other-9", "usageMetadata": None}),
    ],
)
async def test_what_answered_and_what_is_not_known_are_both_recorded(database, name, changes):
    """The model that answered stands beside the one that was asked; no usage is no zero, in any sum."""
    driver = DRIVERS[name]
    async with (
        RawServer([answer(tell(name, **changes))], [answer(driver.whole)]) as server,
        open_at(server.url, database, driver) as client,
    ):
        trip = await client.start(provider="mine", model=driver.model)
        reply = await trip.send("Hello")
        stored = (await trip.history())[-1]
        (attempt,) = await trip.attempts()
        record = (await client.list())[0]

    assert (driver.model, "other-9") == (reply.model, reply.resolved_model)
    assert (driver.model, "other-9") == (stored.model, stored.resolved_model)
    assert (NOTHING_KNOWN, None) == (reply.usage, reply.cost)
    assert (NOTHING_KNOWN, None, NOTHING_KNOWN, None) == (
        attempt.usage,
        attempt.cost,
        stored.usage,
        stored.cost,
    )
    assert ("at least $0", 1) == (str(record.cost)[:11], record.cost.unknown_count)


async def test_no_further_call_is_made_once_the_money_is_gone(database):
    """An answer that held nothing cost as much as there was: it is not asked for again."""
    usage = {"input_tokens": 1_000_000, "output_tokens": 3}
    empty = {**OPENAI.whole, "output": [], "model": OPENAI.model, "usage": usage}
    created, *_, completed = OPENAI.events
    script = stream(created, {**completed, "response": empty})
    async with RawServer(script, say("Yes.")) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine", model=OPENAI.model)
        with pytest.raises(BudgetExceededError) as caught:
            await trip.send("Hello", budget="0.50", options=Options(max_output_tokens=100))
        paid, refused = await trip.attempts()

        error = caught.value
        assert 1 == len(server.requests)
        assert (ErrorKind.EMPTY_RESPONSE, ErrorKind.BUDGET) == (paid.error_kind, refused.error_kind)
        assert Money(0) == refused.cost.money
        assert (Money.from_usd("0.50"), paid.cost.money) == (error.limit, error.spent)
        assert error.limit < error.spent
        assert [("Hello", MessageStatus.FAILED)] == await history(trip)
        assert CostTotal(paid.cost.money) == (await client.list())[0].cost
        assert "what was said so far is stored, and the call was not made" == error.kept
