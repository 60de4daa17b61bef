"""The stories that must always be true, told through real HTTP and a real database."""

from __future__ import annotations

from decimal import Decimal

import tertulia
from tertulia import AttemptOutcome, ErrorKind, MessageStatus, Role


async def test_switching_keeps_the_history(client, simulator):
    """A conversation that goes on elsewhere takes along what was said."""
    conversation = await client.start(provider="openai")
    await conversation.send("My name is John.")
    await conversation.switch("gemini")

    reply = await conversation.send("What is my name?")

    assert "Your name is John." == reply.text
    assert ["My name is John.", "Hello John.", "What is my name?"] == simulator.sent_to("gemini").texts
    history = await conversation.history()
    assert [
        (Role.USER, None, "My name is John."),
        (Role.ASSISTANT, "openai", "Hello John."),
        (Role.USER, None, "What is my name?"),
        (Role.ASSISTANT, "gemini", "Your name is John."),
    ] == [(message.role, message.provider, message.text) for message in history]
    assert ["openai", "gemini"] == [session.provider for session in await conversation.sessions()]


async def test_what_was_not_sent_is_not_known(client, simulator):
    """The simulator knows only what a request holds: a new conversation knows no name."""
    await (await client.start(provider="openai")).send("My name is John.")

    reply = await (await client.start(provider="gemini")).send("What is my name?")

    assert "You have not told me your name." == reply.text


async def test_a_failing_provider_is_replaced(client, simulator):
    """The answer comes from the next target, and the attempt on the first is recorded with its error."""
    simulator.fail("xai", "overloaded", times=None)
    conversation = await client.start(provider="xai")

    reply = await conversation.send("My name is John.", fallback=["openai"])

    assert ("openai", "Hello John.") == (reply.provider, reply.text)
    *failed, answered = reply.attempts
    assert [("xai", AttemptOutcome.FAILED, ErrorKind.OVERLOADED, Decimal(0))] * 3 == [
        (each.provider, each.outcome, each.error_kind, each.cost.usd) for each in failed
    ]
    assert ("openai", AttemptOutcome.SUCCEEDED, None) == (
        answered.provider,
        answered.outcome,
        answered.error_kind,
    )
    assert [*failed, answered] == await conversation.attempts()
    assert (3, 1) == (simulator.sent_to("xai").count, simulator.sent_to("openai").count)


async def test_a_name_inside_the_window_is_remembered(open_client, database, simulator):
    """A budget that holds the last turns holds the name that was said in them."""
    settings = {"providers": simulator.providers(), "store": database, "environ": {}}
    async with open_client(**settings, max_context_tokens=120) as client:
        conversation = await client.start(provider="openai")
        for _ in range(20):
            await conversation.send("Count to 3.")
        await conversation.send("My name is John.")
        for _ in range(2):
            await conversation.send("Count to 3.")

        reply = await conversation.send("What is my name?")

    assert "Your name is John." == reply.text
    assert "My name is John." in simulator.sent_to("openai").texts
    # 47 messages were said. The window may grow to half of the room, and was cut to half of that before.
    assert 7 == len(simulator.sent_to("openai").texts)
    (dropped,) = reply.context.dropped
    assert (40, "over the token budget") == (len(dropped.message_ids), dropped.reason)
    assert 67 == reply.context.tokens


async def test_a_conversation_outlives_its_client(open_client, database, simulator):
    """Closed and opened again, a conversation is as it was and goes on."""
    settings = {"providers": simulator.providers(), "store": database, "environ": {}}
    async with open_client(**settings) as client:
        conversation = await client.start("Trip to Lisbon", provider="openai", system="Be brief.")
        await conversation.send("My name is John.")
        before = await conversation.history()
        identifier = conversation.id

    async with open_client(**settings) as client:
        again = await client.get(str(identifier))
        after = await again.history()
        reply = await again.send("What is my name?")

    assert before == after
    assert [MessageStatus.COMPLETE] * 3 == [message.status for message in after]
    assert ("Trip to Lisbon", "openai", "Your name is John.") == (again.title, again.provider, reply.text)
    assert "Be brief." == simulator.sent_to("openai").system


async def test_every_answer_has_an_exact_cost(client):
    """Costs are exact, and the parts of a report add up to its total."""
    conversation = await client.start(provider="openai")
    openai = await conversation.send("My name is John.")
    await conversation.switch("gemini")
    gemini = await conversation.send("What is my name?")
    await conversation.switch("xai")
    xai = await conversation.send("Count to 3.")

    # openai: 10 in at $2 and 3 out at $10 a million; gemini: at $1.50 and $9; xai says itself.
    for reply, rates in ((openai, ("2", "10")), (gemini, ("1.5", "9"))):
        tokens = (reply.usage.input_tokens, reply.usage.output_tokens)
        assert (
            sum(count * Decimal(rate) / 1_000_000 for count, rate in zip(tokens, rates, strict=True))
            == reply.cost.usd
        )
        assert tertulia.CostSource.COMPUTED is reply.cost.source
    assert tertulia.CostSource.REPORTED is xai.cost.source
    assert xai.raw_usage["cost_in_usd_ticks"] == xai.cost.usd * 10**10
    assert xai.cost.money == xai.cost.computed

    report = await conversation.cost()
    assert openai.cost.usd + gemini.cost.usd + xai.cost.usd == report.total.usd
    assert report.total == sum(report.by_provider.values(), tertulia.CostTotal())
    assert report.total == sum(report.by_model.values(), tertulia.CostTotal())
    assert ["openai", "gemini", "xai"] == list(report.by_provider)
    assert report.total == (await client.list())[0].cost
