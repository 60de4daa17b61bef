"""What every store promises about its own state."""

from __future__ import annotations

import attrs

from tertulia.contracts.store import Settlement, Store
from tertulia.domain.conversation import AttemptOutcome
from tertulia.domain.media import Image
from tertulia.domain.message import MessageStatus, Role, Text
from tertulia.domain.model import ModelInfo
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, end, make_record

_PICTURE = Image(b"\x89PNG and so on", "image/png")


class UpkeepContract:
    """Examination and repair."""

    async def test_an_empty_store_is_well(self, store: Store) -> None:
        """There is nothing in it, and nothing wrong with it; the report says what it is."""
        report = await store.verify()

        assert ({"conversations": 0, "messages": 0, "attempts": 0, "attachments": 0}, ()) == (
            report.counts,
            report.problems,
        )
        assert store.location == report.location
        assert all((report.engine, report.version))

    async def test_whatever_was_done_a_store_is_well(self, store: Store, clock: StandingClock) -> None:
        """Answers of every kind, forks and late answers leave a tree that adds up, and all is counted."""
        talk = await _say_everything(store, clock)
        stranger = attrs.evolve(make_record(clock), owner=STRANGER)
        await store.add_conversation(stranger)
        before = await talk.record(), await talk.attempts(), await talk.history()

        whole, ours, theirs = [await store.verify(owner) for owner in (None, OWNER, STRANGER)]

        messages = (await talk.record()).message_count
        assert {"conversations": 1, "messages": messages, "attempts": 5, "attachments": 1} == ours.counts
        assert {"conversations": 1, "messages": 0, "attempts": 0, "attachments": 0} == theirs.counts
        assert {name: ours.counts[name] + theirs.counts[name] for name in ours.counts} == whole.counts
        assert ((), (), ()) == (whole.problems, ours.problems, theirs.problems)
        assert before == (await talk.record(), await talk.attempts(), await talk.history())

    async def test_an_answer_under_way_is_no_problem(self, store: Store, clock: StandingClock) -> None:
        """What is pending counts as it will when it has ended, and so does what a dead process left."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("one")
        await talk.show(attempt, clock.new_id(), "ON")
        running = await store.verify()
        clock.advance(16)
        left = await store.verify()
        await talk.append("two")

        assert ((), (), ()) == (running.problems, left.problems, (await store.verify()).problems)

    async def test_what_is_right_is_not_rebuilt(self, store: Store, clock: StandingClock) -> None:
        """No conversation was wrong, and each counts what it counted before."""
        talk = await _say_everything(store, clock)
        before = await talk.record()

        assert (0, 0) == (await store.rebuild_statistics(), await store.rebuild_statistics(OWNER))
        assert before == await talk.record()

    async def test_a_counter_that_is_wrong_is_found_and_counted_again(
        self, store: Store, clock: StandingClock
    ) -> None:
        """What a conversation came with that says more than it holds is named, and set right."""
        record = attrs.evolve(make_record(clock), message_count=0)
        wrong = attrs.evolve(record, usage=attrs.evolve(record.usage, input_tokens=7))
        await store.add_conversation(wrong)
        talk = await Talk.begin(store, clock)
        await talk.append("one")

        (problem,) = (await store.verify()).problems
        assert ("counters", OWNER, wrong.id) == (problem.kind, problem.owner, problem.conversation_id)
        assert "input_tokens is 7 and should be 0" in problem.description
        assert (0, 1, 0) == (
            await store.rebuild_statistics(STRANGER),
            await store.rebuild_statistics(OWNER),
            await store.rebuild_statistics(),
        )
        assert 0 == (await store.get_conversation(OWNER, wrong.id)).usage.input_tokens
        assert () == (await store.verify()).problems


async def _say_everything(store: Store, clock: StandingClock) -> Talk:
    """A conversation with answers of every kind, on several branches."""
    talk = await Talk.begin(store, clock, "Trip")
    await talk.append("Be brief.", role=Role.SYSTEM)
    first = await talk.ask("one")
    await talk.answer(first, Text("ONE"), _PICTURE)
    await talk.fork("aside", at=first.message_id)
    await talk.append("again", "aside")
    shown, shown_id = await talk.ask("two"), clock.new_id()
    await talk.show(shown, shown_id, "TW", "O")
    await talk.answer(shown, Text("TWO"), cost=None, shown_as=shown_id)
    await talk.fail(await talk.ask("three"))
    broken = await talk.ask("four")
    await talk.show(broken, clock.new_id(), "FO")
    cut = Settlement(end(broken, AttemptOutcome.INTERRUPTED), MessageStatus.COMPLETE, checkpointed=True)
    await store.settle(OWNER, talk.id, MAIN, cut)
    late = await talk.ask("five")
    clock.advance(16)
    await talk.append("six")
    await talk.answer(late, Text("FIVE"))
    await talk.fork("root", at="root")
    await store.replace_models(OWNER, "openai", [ModelInfo("openai", "gpt-6.1-sol")], clock.now())
    return talk
