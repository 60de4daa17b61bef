"""What every store promises to those who choose what a model sees."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.store import Settlement, Store
from tertulia.domain.context import NO_CONTEXT_OPTIONS, ContextOptions, Outline, Related, Summary
from tertulia.domain.conversation import AttemptOutcome
from tertulia.domain.library import MarkChange
from tertulia.domain.media import Document, Image
from tertulia.domain.message import Message, MessageStatus, Role, Text, ToolCall, ToolResult
from tertulia.domain.tokens import CalibrationRecord
from tertulia.domain.transfer import ConversationTree
from tertulia.errors import BranchNotFoundError, ConversationNotFoundError, MessageNotFoundError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.marks import id_of
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, counted, end, make_record

EVERYTHING = 10**6
"""More than any conversation here has, of whatever it is."""

_OPTIONS = ContextOptions("recent", max_tokens=900, recall="never", summary_model="openai/gpt-6.1-luna")
_LEARNED = CalibrationRecord("openai", "gpt-6.1-sol", False, 3.25, 1.0625, 7, 1e-9, 0.5, -0.25)


def texts_of(messages: tuple[Message, ...] | list[Message]) -> list[str]:
    """What was said."""
    return [message.text for message in messages]


class ContextContract:
    """
    Long conversations read in part, and what is remembered of them.

    A store may leave out ``get_outline``, ``get_recent`` and ``find_related``: what they promise is asked
    only of those that have them.
    """

    async def test_a_message_is_counted_when_it_is_stored(self, store: Store, clock: StandingClock) -> None:
        """Whichever way it comes, and once: a count that somebody gave it stays."""
        system = attrs.evolve(
            Talk(store, clock, clock.new_id()).make_message("Be brief.", Role.SYSTEM), depth=0
        )
        talk = await Talk.begin(store, clock, messages=(system,))
        await talk.answer(await talk.ask("Where is Lisbon?"), Text("In Portugal."))
        given = attrs.evolve(talk.make_message("How far?"), tokens=1234)
        appended = await store.add_message(OWNER, talk.id, MAIN, given)
        shown, shown_id = await talk.ask("And Porto?"), clock.new_id()
        await talk.show(shown, shown_id, "North ")
        await talk.answer(shown, Text("North of it."), shown_as=shown_id)

        assert 1234 == appended.tokens
        assert [7, 8, 7, 1234, 7, 8] == [message.tokens for message in await talk.history()]
        assert 1234 == (await store.get_message(OWNER, talk.id, id_of(given))).tokens

    async def test_what_is_left_of_an_answer_is_counted(self, store: Store, clock: StandingClock) -> None:
        """Broken off or left behind by a process that died, it counts as far as it came."""
        talk = await Talk.begin(store, clock)
        broken = await talk.ask("one")
        await talk.show(broken, clock.new_id(), "Half of ", "Lisbon")
        cut = Settlement(end(broken, AttemptOutcome.INTERRUPTED), MessageStatus.COMPLETE, checkpointed=True)
        await store.settle(OWNER, talk.id, MAIN, cut)
        await talk.show(await talk.ask("two"), clock.new_id(), "Half of ", "Porto ", "too")
        clock.advance(16)
        await talk.append("three")

        assert [5, 7, 5, 8, 5] == [message.tokens for message in await talk.history()]
        assert () == (await store.verify()).problems

    async def test_what_comes_from_elsewhere_is_counted(self, store: Store, clock: StandingClock) -> None:
        """Every message of a whole conversation, with the tools and documents in it."""
        talk = Talk(store, clock, clock.new_id())
        question = attrs.evolve(talk.make_message("What is in it?"), depth=0)
        document = Document(b"Lisbon lies on the Tejo.", "text/plain")
        parts = (ToolResult("c", "read", "Porto lies on the Douro."), document, Image(url="https://x.org/a"))
        result = Message(
            Role.TOOL, parts, id=clock.new_id(), parent_id=question.id, created_at=clock.now(), depth=1
        )
        record = make_record(clock, messages=(question, result))
        tree = ConversationTree(record, (record.branch,), (question, result))
        await store.add_trees(OWNER, [tree])

        stored = await store.get_messages(OWNER, record.id, MAIN)
        assert [counted(question).tokens, counted(result).tokens] == [each.tokens for each in stored]
        assert () == (await store.verify()).problems

    async def test_an_outline_says_what_there_is(self, store: Store, clock: StandingClock) -> None:
        """System and marked messages before a depth, how many there are in all, and their tokens."""
        talk = await Talk.begin(store, clock)
        system = await talk.append("Be brief.", role=Role.SYSTEM)
        one, two = [await talk.append(text) for text in ("one", "two")]
        await talk.fork("other", at=one.id)
        late = await talk.append("Be long.", "other", role=Role.SYSTEM)
        await talk.append("three")
        pin, hide = MarkChange(pinned=True), MarkChange(hidden=True)
        await store.update_mark(OWNER, talk.id, id_of(one), pin)
        await store.update_mark(OWNER, talk.id, id_of(two), hide)
        whole = await store.get_outline(OWNER, talk.id, MAIN, before_depth=EVERYTHING)
        if whole is None:
            return

        async def outline(branch: str, before: int) -> Outline | None:
            return await store.get_outline(OWNER, talk.id, branch, before_depth=before)

        marked = [message for message in await talk.history() if message.id in (one.id, two.id)]
        assert Outline((system,), tuple(marked), 4, 22) == whole
        assert Outline((system,), tuple(marked[:1]), 2, 12) == await outline(MAIN, 2)
        assert Outline((system, late), tuple(marked[:1]), 3, 19) == await outline("other", 9)
        assert Outline() == await outline(MAIN, 0)
        assert Outline() == await outline(MAIN, -3)

    async def test_what_nobody_answered_has_no_tokens(self, store: Store, clock: StandingClock) -> None:
        """It counts for nothing where something else was said after it, until it is answered elsewhere."""
        talk = await Talk.begin(store, clock)
        await talk.append("one")
        failed = await talk.ask("two, which fails")
        await talk.fail(failed)
        await talk.append("three")
        await talk.fork("again", at=failed.message_id)
        before = await store.get_outline(OWNER, talk.id, MAIN, before_depth=EVERYTHING)
        ended = await store.get_outline(OWNER, talk.id, "again", before_depth=EVERYTHING)
        await talk.answer(await talk.ask_again(failed.message_id, "again"), Text("TWO"), branch="again")
        after = await store.get_outline(OWNER, talk.id, MAIN, before_depth=EVERYTHING)
        answered = await store.get_outline(OWNER, talk.id, "again", before_depth=EVERYTHING)

        assert () == (await store.verify()).problems
        if before is not None and ended is not None and after is not None and answered is not None:
            assert (10, 5, 18, 18) == (before.tokens, ended.tokens, after.tokens, answered.tokens)

    async def test_an_empty_branch_has_nothing(self, store: Store, clock: StandingClock) -> None:
        """Neither has one that begins anew."""
        talk = await Talk.begin(store, clock)
        await talk.append("one")
        await talk.fork("empty", at="root")

        assert await store.get_outline(OWNER, talk.id, "empty", before_depth=5) in (None, Outline())
        assert [] == await store.get_recent(OWNER, talk.id, "empty", before_depth=5, tokens=100)
        found = await store.find_related(OWNER, talk.id, "empty", [["one"]], before_depth=5, limit=9)
        assert found in (None, Related((), (1,), 1))

    async def test_the_newest_messages_of_so_many_tokens(self, store: Store, clock: StandingClock) -> None:
        """They are the end of the branch before a depth, and none that has its place is missing."""
        talk = await Talk.begin(store, clock)
        for number in range(6):
            await talk.append(f"m{number} {'long ' * number}")
        path = await talk.history()
        for before in (0, 3, 6):
            for tokens in (0, 7, 30, EVERYTHING):
                found = await store.get_recent(OWNER, talk.id, MAIN, before_depth=before, tokens=tokens)
                assert found == path[before - len(found) : before] if found else True
                fitting = [
                    at for at in range(before) if sum(each.tokens or 0 for each in path[at:before]) <= tokens
                ]
                assert len(found) >= len(fitting)

    async def test_what_holds_the_rarest_words_is_found(self, store: Store, clock: StandingClock) -> None:
        """With what was said right before and after it; oldest first, and with how many hold each word."""
        talk = await Talk.begin(store, clock)
        for number in range(20):
            await talk.append(f"Message {number} of many." if number != 9 else "The café in Lisbon.")
        words = [["cafe", "coffee"], ["lisbon"], ["message"], ["porto"]]

        found = await store.find_related(OWNER, talk.id, MAIN, words, before_depth=19, limit=5)

        if found is not None:
            assert [7, 8, 9, 10, 11] == [message.depth for message in found.messages]
            assert ((1, 1, 19, 0), 20) == (found.counts, found.message_count)
            (_, _, message, _, _) = found.messages
            assert await store.get_message(OWNER, talk.id, id_of(message)) == message

    async def test_no_more_is_found_than_there_may_be(self, store: Store, clock: StandingClock) -> None:
        """However many hold a word; before the depth, and nothing where nothing is wanted."""
        talk = await Talk.begin(store, clock)
        for number in range(12):
            await talk.append(f"Lisbon {number}")

        async def depths(limit: int, before: int = 9) -> list[int | None] | None:
            found = await store.find_related(
                OWNER, talk.id, MAIN, [["lisbon"]], before_depth=before, limit=limit
            )
            return None if found is None else [message.depth for message in found.messages]

        if await depths(1) is not None:
            assert [8] == await depths(1)
            assert [[], []] == [await depths(0), await depths(5, 0)]
            assert 7 == len(await depths(7) or ())
            assert list(range(9)) == await depths(100)

    async def test_only_the_branch_is_found(self, store: Store, clock: StandingClock) -> None:
        """What stands on another one, in another conversation or at another owner's counts at most."""
        talk, other = await Talk.begin(store, clock), await Talk.begin(store, clock, "Lisbon")
        await other.append("Lisbon")
        first = await talk.append("Lisbon")
        await talk.append("to Porto")
        await talk.fork("other", at=first.id)
        await talk.append("from Porto", "other")
        words = [["porto"], ["lisbon"]]

        found = await store.find_related(OWNER, talk.id, "other", words, before_depth=9, limit=9)
        assert found is None or ["Lisbon", "from Porto"] == texts_of(found.messages)
        assert found is None or ((2, 1), 3) == (found.counts, found.message_count)
        if found is not None:
            with pytest.raises(ConversationNotFoundError):
                await store.find_related(STRANGER, talk.id, MAIN, words, before_depth=9, limit=9)

    async def test_words_are_looked_for_as_they_are(self, store: Store, clock: StandingClock) -> None:
        """Nothing in them means anything to an index, and what is no word finds nothing."""
        talk = await Talk.begin(store, clock)
        await talk.append("Where is 北京站, and C++?")
        odd = ('"', "'", "a OR b", "*", "", "\0", "c OR", "\\", "' | 'c", "x" * 1000)
        words = [["北京"], ["c"], [], *([each] for each in odd)]

        found = await store.find_related(OWNER, talk.id, MAIN, words, before_depth=9, limit=9)

        assert found is None or (1, 1, *(0 for _ in range(11))) == found.counts

    async def test_results_and_documents_are_found(self, store: Store, clock: StandingClock) -> None:
        """What a tool returned and what is written in a document of text, by whoever looks for it."""
        talk = await Talk.begin(store, clock)
        attempt = await talk.ask("What is the weather?")
        await talk.answer(attempt, ToolCall("c", "weather", {"city": "Lisbon"}))
        result = attrs.evolve(
            talk.make_message("", Role.TOOL), parts=(ToolResult("c", "weather", "Drizzle, 12 degrees"),)
        )
        await store.add_message(OWNER, talk.id, MAIN, result)
        letter = Document("Dear María, the réservoir is full.".encode(), "text/plain; charset=utf-8")
        hidden = Document(b"%PDF-1.7 reservoir", "application/pdf")
        asked = attrs.evolve(talk.make_message(""), parts=(Text("Read this."), letter, hidden))
        await store.add_message(OWNER, talk.id, MAIN, asked)

        (hit,) = await store.search(OWNER, "reservoir maria")
        assert ("Read this. Dear [María], the [réservoir] is full.", asked.id) == (
            hit.snippet.render(),
            hit.message_id,
        )
        assert [result.id] == [hit.message_id for hit in await store.search(OWNER, "drizzle")]
        assert [] == await store.search(OWNER, "lisbon")
        found = await store.find_related(OWNER, talk.id, MAIN, [["drizzle"]], before_depth=9, limit=1)
        assert found is None or [result.id] == [message.id for message in found.messages]
        assert 3 == await store.rebuild_search()
        assert [asked.id] == [hit.message_id for hit in await store.search(OWNER, "reservoir")]
        assert () == (await store.verify()).problems

    async def test_how_contexts_are_chosen_is_kept(self, store: Store, clock: StandingClock) -> None:
        """With the conversation, wherever it is read, until something else is said of it."""
        talk = await Talk.begin(store, clock)
        at = clock.now() + timedelta(seconds=5)
        await store.update_context_options(OWNER, talk.id, _OPTIONS, at)
        record, (listed,) = await talk.record(), await store.find_conversations(OWNER)
        await store.update_context_options(OWNER, talk.id, NO_CONTEXT_OPTIONS, at)

        assert (_OPTIONS, _OPTIONS, at) == (record.context, listed.context, record.updated_at)
        assert NO_CONTEXT_OPTIONS == (await talk.record()).context

    async def test_a_conversation_may_begin_with_options(self, store: Store, clock: StandingClock) -> None:
        """Or come with them from elsewhere."""
        records = [attrs.evolve(make_record(clock), context=_OPTIONS) for _ in range(2)]
        await store.add_conversation(records[0])
        await store.add_trees(OWNER, [ConversationTree(records[1], (records[1].branch,), ())])

        assert [_OPTIONS] * 2 == [record.context for record in await store.find_conversations(OWNER)]

    async def test_options_need_a_conversation(self, store: Store, clock: StandingClock) -> None:
        """An unknown one, another owner's and a deleted one are errors."""
        talk = await Talk.begin(store, clock)
        for owner, identifier in ((OWNER, UUID(int=7)), (STRANGER, talk.id)):
            with pytest.raises(ConversationNotFoundError):
                await store.update_context_options(owner, identifier, _OPTIONS, clock.now())
        await store.remove_conversation(OWNER, talk.id, clock.now())
        with pytest.raises(ConversationNotFoundError):
            await store.update_context_options(OWNER, talk.id, _OPTIONS, clock.now())

        deleted = await store.get_conversation(OWNER, talk.id, deleted=True)
        assert NO_CONTEXT_OPTIONS == deleted.context

    async def test_what_was_learned_of_models_is_kept(self, store: Store) -> None:
        """To the last digit; of one model with and without attachments, the newest of each, by owner."""
        media = attrs.evolve(_LEARNED, has_media=True, offset=0.1 + 0.2)
        first = attrs.evolve(_LEARNED, provider="gemini")
        await store.save_calibrations(OWNER, [attrs.evolve(_LEARNED, count=1), media])
        await store.save_calibrations(OWNER, [attrs.evolve(_LEARNED, count=2), _LEARNED, first])
        await store.save_calibrations(OWNER, [])

        assert [first, _LEARNED, media] == await store.get_calibrations(OWNER)
        assert [] == await store.get_calibrations(STRANGER)

    async def test_many_may_learn_at_once(self, store: Store) -> None:
        """What each learned is there."""
        records = [attrs.evolve(_LEARNED, model=f"m{number}") for number in range(8)]
        await asyncio.gather(*(store.save_calibrations(OWNER, [_LEARNED, each]) for each in records))

        assert [_LEARNED, *records] == await store.get_calibrations(OWNER)

    async def test_the_summary_that_covers_most_is_found(self, store: Store, clock: StandingClock) -> None:
        """Of its kind, on the branch, before a depth; another of the same place takes its place."""
        talk = await Talk.begin(store, clock)
        messages = [await talk.append(str(number)) for number in range(4)]
        await talk.fork("other", at=messages[1].id)
        await talk.append("aside", "other")

        def summarise(depth: int, text: str, kind: str = "model") -> Summary:
            return Summary(id_of(messages[depth]), depth, kind, text, 3, clock.now())

        async def find(branch: str, before: int, kind: str = "model") -> Summary | None:
            return await store.find_summary(OWNER, talk.id, branch, kind, before_depth=before)

        early, late, other = summarise(0, "early"), summarise(2, "late"), summarise(1, "other", "plugin")
        for summary in (summarise(2, "wrong"), early, late, other):
            await store.add_summary(OWNER, talk.id, summary)

        assert [None, early, early, late, late] == [await find(MAIN, before) for before in (0, 1, 2, 3, 99)]
        assert [early, other, None] == [
            await find("other", 99),
            await find("other", 99, "plugin"),
            await find(MAIN, 99, "unknown"),
        ]

    async def test_summaries_are_of_what_is_there(self, store: Store, clock: StandingClock) -> None:
        """An unknown message, conversation or branch is an error; removing a branch leaves its summaries."""
        talk = await Talk.begin(store, clock)
        message = await talk.append("one")
        await talk.fork("other")
        summary = Summary(id_of(message), 0, "model", "One was said.", 4, clock.now())
        with pytest.raises(MessageNotFoundError):
            await store.add_summary(OWNER, talk.id, attrs.evolve(summary, message_id=UUID(int=7)))
        for owner, identifier in ((OWNER, UUID(int=7)), (STRANGER, talk.id)):
            with pytest.raises(ConversationNotFoundError):
                await store.add_summary(owner, identifier, summary)
        await store.add_summary(OWNER, talk.id, summary)
        await store.remove_branch(OWNER, talk.id, "other", clock.now())

        with pytest.raises(BranchNotFoundError):
            await store.find_summary(OWNER, talk.id, "other", "model", before_depth=1)
        assert summary == await store.find_summary(OWNER, talk.id, MAIN, "model", before_depth=1)

    async def test_a_purge_takes_summaries_along(self, store: Store, clock: StandingClock) -> None:
        """Nothing is left of them, also where the same conversation comes again."""
        talk = await Talk.begin(store, clock)
        message = await talk.append("one")
        record = attrs.evolve(await talk.record(), message_count=1)
        await store.add_summary(OWNER, talk.id, Summary(id_of(message), 0, "model", "1", 1, clock.now()))
        await store.remove_conversation(OWNER, talk.id, clock.now())
        await store.purge_conversation(OWNER, talk.id)
        await store.add_trees(OWNER, [ConversationTree(record, (record.branch,), (message,))])

        assert None is await store.find_summary(OWNER, talk.id, MAIN, "model", before_depth=9)

    async def test_two_owners_may_have_conversations_of_one_id(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Whoever made a copy of an export finds what he said in it, and nobody else does."""
        talk = await Talk.begin(store, clock)
        said = await talk.append("The deposit is due.")
        record, message = await talk.record(), talk.make_message("The deposit is paid.")
        copied = attrs.evolve(message, depth=0)
        theirs = attrs.evolve(record, owner=STRANGER, message_count=1, context=_OPTIONS)
        theirs = attrs.evolve(theirs, branch=attrs.evolve(theirs.branch, head_id=message.id))
        await store.add_trees(STRANGER, [ConversationTree(theirs, (theirs.branch,), (copied,))])
        summary = Summary(id_of(said), 0, "model", "It is due.", 4, clock.now())
        await store.add_summary(OWNER, talk.id, summary)

        async def read(owner: str) -> list[list[str]]:
            where = (owner, talk.id, MAIN)
            outline = await store.get_outline(*where, before_depth=9)
            related = await store.find_related(*where, [["deposit"]], before_depth=9, limit=9)
            recent = await store.get_recent(*where, before_depth=9, tokens=99)
            assert outline is None or 1 == outline.message_count
            return [
                [each.text for each in found] for found in (related.messages if related else recent, recent)
            ]

        assert [["The deposit is due."]] * 2 == await read(OWNER)
        assert [["The deposit is paid."]] * 2 == await read(STRANGER)
        assert (NO_CONTEXT_OPTIONS, None) == (
            (await talk.record()).context,
            await store.find_summary(STRANGER, talk.id, MAIN, "model", before_depth=9),
        )

    async def test_a_branch_that_is_not_there_is_an_error(self, store: Store, clock: StandingClock) -> None:
        """For everything that is read of one."""
        talk = await Talk.begin(store, clock)

        with pytest.raises(BranchNotFoundError):
            await store.get_recent(OWNER, talk.id, "other", before_depth=5, tokens=9)
        if await store.get_outline(OWNER, talk.id, MAIN, before_depth=5) is not None:
            with pytest.raises(BranchNotFoundError):
                await store.get_outline(OWNER, talk.id, "other", before_depth=5)
        if await store.find_related(OWNER, talk.id, MAIN, [], before_depth=5, limit=5) is not None:
            with pytest.raises(BranchNotFoundError):
                await store.find_related(OWNER, talk.id, "other", [["a"]], before_depth=5, limit=5)
