"""Sends under a budget: what is set aside, what is refused, and what is kept of it all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import tertulia
from tertulia import (
    AttemptOutcome,
    Budget,
    BudgetExceededError,
    ErrorKind,
    MessageStatus,
    ModelNotFoundError,
    Money,
    Options,
    Usage,
)
from tertulia.testing import ScriptedProvider

SHORT = Options(max_output_tokens=1000)
"""At a dollar a million tokens of prompt and two of answer, such a call may cost a little over $0.002."""


@pytest.fixture
def opened(one: ScriptedProvider, two: ScriptedProvider, database: str) -> Callable[..., tertulia.Client]:
    """Open a client of two providers with budgets."""

    def open_client(*budgets: Budget, **settings: Any) -> tertulia.Client:
        return tertulia.open(
            store=database, providers={}, plugins=[one, two], environ={}, budgets=budgets, **settings
        )

    return open_client


def state_of(states: Any) -> list[tuple[str, str]]:
    return [(str(each.spent), str(each.reserved)) for each in states]


async def test_what_an_answer_cost_is_spent(opened, one) -> None:
    """Before it, its highest cost is set aside; after it, what it did cost counts."""
    one.says("Hello", " John.", usage=Usage(10, 0, 0, 5, 0))
    async with opened(Budget("5")) as client:
        conversation = await client.start(provider="one")
        async with conversation.stream("My name is John.", options=SHORT) as stream:
            async for _ in stream:
                ((spent, reserved),) = state_of(await client.budgets())
                break
            assert ("$0", True) == (spent, 0.002 < float(reserved.removeprefix("$")) < 0.0021)
            reply = await stream.read()

        assert "$0.00002" == str(reply.cost.money)
        assert [("$0.00002", "$0")] == state_of(await client.budgets())


async def test_a_refused_message_is_stored_and_can_be_sent_later(opened, one) -> None:
    """Nobody was asked; with a higher budget the same message is answered."""
    one.says("Hello John.")
    async with opened(Budget("0.001")) as client:
        conversation = await client.start(provider="one")
        with pytest.raises(BudgetExceededError) as caught:
            await conversation.send("My name is John.", options=SHORT)
        assert [] == one.requests
        (attempt,) = caught.value.attempts
        assert (AttemptOutcome.FAILED, ErrorKind.BUDGET) == (attempt.outcome, attempt.error_kind)
        assert [("$0", "$0")] == state_of(await client.budgets())
        assert [MessageStatus.FAILED] == [each.status for each in await conversation.history()]

    async with opened(Budget("1")) as client:
        conversation = await client.get(conversation.id)
        reply = await conversation.retry(options=SHORT)

    assert ("Hello John.", 2) == (reply.text, len(reply.attempts) + 1)


async def test_a_budget_that_is_used_up_between_two_steps_ends_the_send(opened, one) -> None:
    """The call of the tool and its result are kept, and no further request is sent."""
    one.calls(("add", {"a": 1}), usage=Usage(3000, 0, 0, 500, 0))

    def add(a: int) -> int:
        """Add one."""
        return a + 1

    async with opened(Budget("5")) as client:
        conversation = await client.start(provider="one")
        with pytest.raises(BudgetExceededError, match=r"\$0\.004 of \$0\.006 are spent") as caught:
            await conversation.send("Add.", tools=[add], options=SHORT, budget="0.006")

        assert 1 == len(one.requests)
        assert Money.from_usd("0.006") == caught.value.limit
        assert ["user", "assistant", "tool"] == [each.role for each in await conversation.history()]
        assert [("$0.004", "$0")] == state_of(await client.budgets())


async def test_a_failed_call_is_settled_before_the_next_target_is_asked(opened, one, two) -> None:
    """What the first one may have cost does not keep the second one from answering."""
    one.refuses(ModelNotFoundError, status=404)
    two.says("Hello.")
    async with opened(Budget("0.0025")) as client:
        conversation = await client.start(provider="one")
        reply = await conversation.send("Hi", options=SHORT, fallback=["two"])

        assert ("two", [("$0.00002", "$0")]) == (reply.provider, state_of(await client.budgets()))


async def test_a_provider_s_budget_is_no_other_s(opened, one, two) -> None:
    """Where the one is used up, the other answers when it is asked."""
    two.says("Hello.")
    async with opened(Budget("0.001", scope="provider", provider="one")) as client:
        conversation = await client.start(provider="one")
        with pytest.raises(BudgetExceededError, match=r"^the budget of \$0\.001 for provider 'one'"):
            await conversation.send("Hi", options=SHORT)
        await conversation.switch("two")
        reply = await conversation.retry(options=SHORT)

    assert ("two", []) == (reply.provider, one.requests)


async def test_an_answer_that_is_dropped_counts_as_the_highest(opened, one) -> None:
    """Nobody knows what was charged for it, so all that was set aside is spent, and not reserved any more."""
    one.says("Hello", " John.")
    async with opened(Budget("5")) as client:
        conversation = await client.start(provider="one")
        async with conversation.stream("Hi", options=SHORT) as stream:
            async for _ in stream:
                ((_, reserved),) = state_of(await client.budgets())
                break

        (attempt,) = (await conversation.attempts())[-1:]
        assert (AttemptOutcome.CANCELLED, None) == (attempt.outcome, attempt.cost)
        assert [(reserved, "$0")] == state_of(await client.budgets())


async def test_sends_at_once_spend_no_more_than_they_may(opened, one) -> None:
    """Eight want what three of them may cost at most: so many are let through, and the others refused."""
    for _ in range(8):
        one.says("Hello.", usage=Usage(0, 0, 0, 1000, 0))
    async with opened(Budget("0.0065")) as client:
        conversations = [await client.start(provider="one") for _ in range(8)]
        answers = await asyncio.gather(
            *(each.send("Hi", options=SHORT) for each in conversations), return_exceptions=True
        )

        refused = [each for each in answers if isinstance(each, BudgetExceededError)]
        assert (5, 3) == (len(refused), len(one.requests))
        assert [("$0.006", "$0")] == state_of(await client.budgets())


async def test_a_soft_budget_says_so_in_the_reply(opened, one) -> None:
    """The answer comes all the same, with a warning."""
    one.says("Hello.")
    async with opened(Budget("0.001", is_hard=False)) as client:
        conversation = await client.start(provider="one")
        reply = await conversation.send("Hi", options=SHORT)

    (warning,) = reply.warnings
    assert warning.startswith("the budget of $0.001 may be exceeded: $0.0020")


async def test_budgets_of_conversations_are_told_for_one(opened, one) -> None:
    """Those of the owner and the providers are told without one, too."""
    one.says("Hello.")
    async with opened(Budget("5", scope="conversation"), Budget("9")) as client:
        conversation = await client.start(provider="one")
        other = await client.start(provider="one")
        await conversation.send("Hi", options=SHORT)

        assert [("$0.00002", "$0")] == state_of(await client.budgets())
        assert [("$0.00002", "$0")] * 2 == state_of(await client.budgets(conversation.id))
        assert [("$0", "$0"), ("$0.00002", "$0")] == state_of(await client.budgets(str(other.id)))


async def test_a_budget_is_a_table_too(opened, one, database) -> None:
    """As in a file, with a limit in words."""
    one.says("Hello.")
    tables = [{"limit": "0.0025", "period": "month", "time_zone": "Europe/Madrid"}]
    async with tertulia.open(
        store=database, providers={}, plugins=[one], environ={}, budgets=tables
    ) as client:
        conversation = await client.start(provider="one")
        await conversation.send("Hi", options=SHORT)
        with pytest.raises(BudgetExceededError, match=r"the budget of \$0\.0025 a month does not allow"):
            await conversation.send("Hi", options=Options(max_output_tokens=1300))


async def test_the_same_message_is_paid_once(opened, one) -> None:
    """Repeated with its client_id, it has its stored answer, whatever the budget says by then."""
    one.says("Hello.")
    async with opened(Budget("0.003")) as client:
        conversation = await client.start(provider="one")
        first = await conversation.send("Hi", options=SHORT, client_id="a")
        again = await conversation.send("Hi", options=SHORT, client_id="a", budget="0.000000000001")

        assert (first.text, True, 1) == (again.text, again.was_stored, len(one.requests))
        assert [("$0.00002", "$0")] == state_of(await client.budgets())
