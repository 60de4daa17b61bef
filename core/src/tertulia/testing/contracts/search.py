"""What every store promises about searching titles and messages."""
# ruff: noqa: RUF001  # letters of all scripts are what it is about

from __future__ import annotations

from datetime import timedelta

import attrs

from tertulia.contracts.store import Settlement, Store
from tertulia.domain.conversation import AttemptOutcome, Branch, ConversationState
from tertulia.domain.library import ConversationFilter, SearchHit
from tertulia.domain.message import MessageStatus, Role, Text
from tertulia.domain.terms import matches
from tertulia.domain.transfer import ConversationTree
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, end, make_record

SENTENCES = (
    "Where is the café near the station?",
    "Das schöne Straßenfest in MÜNCHEN beginnt um 7 Uhr.",
    "Η Αθήνα είναι η πρωτεύουσα της ΕΛΛΆΔΑΣ.",
    "مَرْحَبًا بكم في القاهرة",
    "नई दिल्ली हिन्दी में",
    "กรุงเทพเป็นเมืองหลวงของไทย",
    "我爱北京天安门, and my iPhone手机 too",
    "東京タワーは高い。ﾄｳｷｮｳ",
    "한국어를 배우고 싶어요",
    "🦀 crab and 👩‍👩‍👧 family, C++ and foo_bar",
    "Ame\u0301lie, fi\ufb01ne, ＦＵＬＬ width, x² + ½",
)
"""One of every script there is trouble with."""

QUERIES = (
    *("cafe", "CAFÉ station", "strasse", "munchen", "straßenfest uhr 7", "αθηνα", "ελλαδας", "ΕΛΛΆΔΑς"),
    *(
        "مرحبا",
        "القاهرة بكم",
        "हिन्दी",
        "दिल्ली नई",
        "ไทย",
        "เมือง",
        "北京",
        "京",
        "天安门 iphone",
        "手机",
        "安北",
    ),
    *(
        "東京",
        "タワー",
        "トウキョウ",
        "한국",
        "배우",
        "한",
        "crab",
        "🦀",
        "c++",
        "c",
        "foo",
        "bar foo",
        "_",
        "amelie",
    ),
    *("fiﬁne", "full WIDTH", "x2", "2", "½", "station munich", "the the the", "th", "t"),
)

HOSTILE = (
    *("", " ", "50%", "foo:bar", 'a"b', '"', "*", "NOT", "col:", "--", "; drop table message;--", "%", "a*b"),
    *(
        "[x]",
        "\x00",
        "a\x00b",
        "\ud83d",
        "a\ud83db",
        "🦀",
        "../..",
        "<script>alert(1)</script>",
        "a AND",
        "OR b",
    ),
    *(
        "NEAR(a b)",
        "a NEAR/2 b",
        "words MATCH 'x'",
        "^a",
        "{a b}: c",
        "a -b",
        "'",
        "''",
        "\\",
        "\\'",
        "a:*",
        "!a",
    ),
    *(
        "a & b | c",
        "<->",
        "(((",
        "x" * 100_000,
        "word " * 2_000,
        "\u0301",
        "\ufe0f",
        "§r§o",
        "a\u2028b",
        "ﷺ" * 300,
    ),
)
"""What somebody may type."""


def render(hits: list[SearchHit]) -> list[str]:
    """What was found, marked."""
    return [hit.snippet.render() for hit in hits]


async def search(store: Store, query: str) -> list[str]:
    """What the owner finds, in the order in which it was said."""
    return sorted(render(await store.search(OWNER, query)))


class SearchContract:
    """Words, wherever they stand."""

    async def test_a_message_is_found_by_its_words(self, store: Store, clock: StandingClock) -> None:
        """What is found says where it is, who said it, when, and shows the words."""
        talk = await Talk.begin(store, clock, title="Trip")
        await talk.append("Hello")
        message = await talk.append("A hotel in Lisbon, please")

        (hit,) = await store.search(OWNER, "lisbon HOTEL")

        assert (talk.id, "Trip", message.id, Role.USER, 1, message.created_at) == (
            hit.conversation_id,
            hit.title,
            hit.message_id,
            hit.role,
            hit.depth,
            hit.created_at,
        )
        assert "A [hotel] in [Lisbon], please" == hit.snippet.render()

    async def test_a_title_is_found_by_its_words(self, store: Store, clock: StandingClock) -> None:
        """A title is a hit of its own, without a message."""
        talk = await Talk.begin(store, clock, title="Trip to Lisbon")
        await talk.append("Hello")

        (hit,) = await store.search(OWNER, "lisb")

        created_at = (await talk.record()).created_at
        assert (talk.id, "Trip to Lisbon", None, None, None, created_at) == (
            hit.conversation_id,
            hit.title,
            hit.message_id,
            hit.role,
            hit.depth,
            hit.created_at,
        )
        assert "Trip to [Lisbon]" == hit.snippet.render()

    async def test_every_word_is_asked_for(self, store: Store, clock: StandingClock) -> None:
        """A message is found that holds all words, in any order; words of two messages do not add up."""
        talk = await Talk.begin(store, clock, title="Lisbon")
        for text in ("hotel by the river", "the river", "a hotel"):
            await talk.append(text)

        assert ["[hotel] by the [river]"] == await search(store, "river hotel")
        assert [] == await search(store, "lisbon hotel")

    async def test_what_is_found_in_every_script(self, store: Store, clock: StandingClock) -> None:
        """Found is what ``tertulia.domain.terms.matches`` says, in every script and every spelling."""
        talk = await Talk.begin(store, clock)
        for sentence in SENTENCES:
            await talk.append(sentence)

        found = {
            query: {hit.depth for hit in await store.search(OWNER, query, limit=100)} for query in QUERIES
        }

        assert {
            query: {depth for depth, sentence in enumerate(SENTENCES) if matches(query, sentence)}
            for query in QUERIES
        } == found

    async def test_any_text_is_a_query(self, store: Store, clock: StandingClock) -> None:
        """Nothing that is typed is a command or an error, and what was typed is found where it was said."""
        talk = await Talk.begin(store, clock)
        said = ("of that kind", "a b c x foo bar col not near words match drop table message 50", *HOSTILE)
        for text in said:
            await talk.append(text)

        found = {
            query: {hit.depth for hit in await store.search(OWNER, query, limit=99)} for query in HOSTILE
        }

        assert {
            query: {depth for depth, text in enumerate(said) if matches(query, text)} for query in HOSTILE
        } == found
        assert ["of that [kind]"] == await search(store, "kind")

    async def test_the_best_comes_first(self, store: Store, clock: StandingClock) -> None:
        """First what says a word most often and in fewest words; of equals the newest."""
        talk = await Talk.begin(store, clock)
        for text in ("river", "by the river, " + "in the shade of trees, " * 20, "river, river", "river"):
            clock.advance(1)
            await talk.append(text)

        hits = await store.search(OWNER, "river")

        assert [2, 3, 0, 1] == [hit.depth for hit in hits]
        assert sorted((hit.score for hit in hits), reverse=True) == [hit.score for hit in hits]
        assert [2, 3] == [hit.depth for hit in await store.search(OWNER, "river", limit=2)]
        assert [] == await store.search(OWNER, "river", limit=0)

    async def test_a_whole_word_is_better_than_a_longer_one(self, store: Store, clock: StandingClock) -> None:
        """Where a word is only the beginning of another one, it is found after the word itself."""
        talk = await Talk.begin(store, clock)
        for text in ("the port of it", "the porter of"):
            await talk.append(text)

        assert ["the [port] of it", "the [porter] of"] == render(await store.search(OWNER, "port"))

    async def test_a_long_message_is_shown_where_the_words_are(
        self, store: Store, clock: StandingClock
    ) -> None:
        """A snippet is a piece of a long text, cut between words, with what was found in it."""
        talk = await Talk.begin(store, clock)
        await talk.append(f"{'before it ' * 500}a hotel\nby the river {'and after ' * 500}")

        (hit,) = await store.search(OWNER, "hotel river")

        shown = hit.snippet.render()
        assert "a [hotel] by the [river] and after" in shown
        assert ("…", "…") == (shown[0], shown[-1])
        assert len(hit.snippet.text) <= 162
        assert {"before", "it"} == set(shown[1:].partition("a [")[0].split())

    async def test_a_search_is_narrowed(self, store: Store, clock: StandingClock) -> None:
        """By conversation, by role and by time: from then on, and before then."""
        first = await Talk.begin(store, clock, title="Lisbon one")
        await first.append("Lisbon?")
        clock.advance(60)
        noon = clock.now()
        await first.append("Lisbon!", role=Role.ASSISTANT)
        clock.advance(60)
        second = await Talk.begin(store, clock, title="Lisbon two")
        await second.append("To Lisbon.")
        later = clock.now()

        async def found(**narrowed: object) -> list[str]:
            hits = await store.search(OWNER, "lisbon", **narrowed)  # type: ignore[arg-type]  # any of them
            return sorted(hit.snippet.text for hit in hits)

        assert ["Lisbon one", "Lisbon two", "Lisbon!", "Lisbon?", "To Lisbon."] == await found()
        assert ["Lisbon two", "To Lisbon."] == await found(conversation_id=second.id)
        assert ["Lisbon?", "To Lisbon."] == await found(role=Role.USER)
        assert ["Lisbon!"] == await found(role=Role.ASSISTANT)
        assert ["Lisbon two", "Lisbon!", "To Lisbon."] == await found(since=noon)
        assert ["Lisbon one", "Lisbon?"] == await found(until=noon)
        assert ["Lisbon!"] == await found(since=noon, until=noon + timedelta(microseconds=1))
        assert ["To Lisbon."] == await found(since=noon, until=later + timedelta(1), role=Role.USER)
        assert [] == await found(since=later + timedelta(seconds=1))
        assert [] == await found(conversation_id=clock.new_id())

    async def test_another_owner_finds_nothing(self, store: Store, clock: StandingClock) -> None:
        """What belongs to somebody else is not found, by no way of narrowing the search."""
        talk = await Talk.begin(store, clock, title="Lisbon")
        await talk.append("To Lisbon")
        theirs = attrs.evolve(make_record(clock, "Lisbon too"), owner=STRANGER)
        await store.add_conversation(theirs)

        assert ["[Lisbon] too"] == render(await store.search(STRANGER, "lisbon"))
        assert [] == await store.search(STRANGER, "lisbon", conversation_id=talk.id)
        assert [] == await store.search(STRANGER, "lisbon", role=Role.USER)
        assert ["To [Lisbon]", "[Lisbon]"] == await search(store, "lisbon")

    async def test_a_deleted_conversation_is_not_found(self, store: Store, clock: StandingClock) -> None:
        """It is found again once it is restored; an archived one is found, and a purged one is gone."""
        talk = await Talk.begin(store, clock, title="Lisbon")
        await talk.append("To Lisbon")
        other = await Talk.begin(store, clock)
        await other.append("Lisbon as well")
        everything = ["To [Lisbon]", "[Lisbon]", "[Lisbon] as well"]

        await store.update_state(OWNER, talk.id, ConversationState.ARCHIVED, clock.now())
        archived = await search(store, "lisbon")
        await store.remove_conversation(OWNER, talk.id, clock.now())
        deleted = await search(store, "lisbon")
        await store.restore_conversation(OWNER, talk.id, clock.now())
        restored = await search(store, "lisbon")
        await store.remove_conversation(OWNER, talk.id, clock.now())
        await store.purge_conversation(OWNER, talk.id)

        assert (everything, everything[2:], everything) == (archived, deleted, restored)
        assert everything[2:] == await search(store, "lisbon")
        assert () == (await store.verify()).problems

    async def test_a_renamed_conversation_is_found_by_its_title(
        self, store: Store, clock: StandingClock
    ) -> None:
        """The old title is forgotten, and one that is taken away as well."""
        talk = await Talk.begin(store, clock)
        await talk.append("Hello")
        found: list[list[str]] = []
        for title in ("Trip to Lisbon", "Journey to Lisbon", "Journey to Lisbon", None):
            await store.update_title(OWNER, talk.id, title, clock.now())
            found.append(await search(store, "trip") + await search(store, "lisbon journey"))

        assert [["[Trip] to Lisbon"], ["[Journey] to [Lisbon]"], ["[Journey] to [Lisbon]"], []] == found

    async def test_an_answer_is_found_once_it_is_settled(self, store: Store, clock: StandingClock) -> None:
        """While it comes it is not found; then all of it is, and once."""
        talk = await Talk.begin(store, clock)
        attempt, answer_id = await talk.ask("Where to?"), clock.new_id()
        await talk.show(attempt, answer_id, "To ", "Lis")
        before = await search(store, "lis"), await search(store, "where")
        await talk.answer(attempt, Text("To Lisbon"), shown_as=answer_id)
        following = await talk.ask("And then?")
        await talk.answer(following, Text("To Lisbon, again"))

        assert ([], ["[Where] to?"]) == before
        assert ["To [Lisbon]", "To [Lisbon], again"] == await search(store, "lis")

    async def test_what_is_left_of_an_answer_is_found(self, store: Store, clock: StandingClock) -> None:
        """Whether its attempt was interrupted, or its process died and somebody took over."""
        talk = await Talk.begin(store, clock)
        interrupted = await talk.ask("one")
        await talk.show(interrupted, clock.new_id(), "Half of ", "Lisbon")
        ended = end(interrupted, AttemptOutcome.INTERRUPTED)
        settlement = Settlement(ended, MessageStatus.COMPLETE, checkpointed=True)
        await store.settle(OWNER, talk.id, MAIN, settlement)
        died, answer_id = await talk.ask("two"), clock.new_id()
        await talk.show(died, answer_id, "Half of Porto")
        clock.advance(16)
        await talk.append("three")

        assert ["Half of [Lisbon]"] == await search(store, "lisbon")
        assert ["Half of [Porto]"] == await search(store, "porto")
        await talk.answer(died, Text("All of Porto"), shown_as=answer_id)
        assert ["All of [Porto]", "Half of [Porto]"] == await search(store, "porto")

    async def test_every_branch_is_searched(self, store: Store, clock: StandingClock) -> None:
        """What was said on a branch is found once, and stays found when the branch is removed."""
        talk = await Talk.begin(store, clock)
        await talk.append("To Lisbon")
        await talk.fork("other")
        await talk.append("Or Lisbon not", "other")
        await store.remove_branch(OWNER, talk.id, "other", clock.now())

        assert ["Or [Lisbon] not", "To [Lisbon]"] == await search(store, "lisbon")

    async def test_first_messages_are_found(self, store: Store, clock: StandingClock) -> None:
        """What a conversation began with is found as what is said later."""
        system = attrs.evolve(
            Talk(store, clock, clock.new_id()).make_message("Speak of Lisbon", Role.SYSTEM), depth=0
        )
        await Talk.begin(store, clock, messages=(system,))

        (hit,) = await store.search(OWNER, "lisbon", role=Role.SYSTEM)

        assert ("Speak of [Lisbon]", system.id, 0) == (hit.snippet.render(), hit.message_id, hit.depth)

    async def test_what_came_from_elsewhere_is_found(self, store: Store, clock: StandingClock) -> None:
        """Titles and messages of whole conversations are found as soon as they are stored."""
        message = attrs.evolve(
            Talk(store, clock, clock.new_id()).make_message("To Lisbon"), depth=0, parent_id=None
        )
        record = make_record(clock, "Lisbon", (message,))
        branch = Branch(MAIN, "openai", "gpt-6.1-sol", segment=clock.new_id(), head_id=message.id)
        await store.add_trees(OWNER, [ConversationTree(record, (branch,), (message,))])

        assert ["To [Lisbon]", "[Lisbon]"] == await search(store, "lisbon")

    async def test_a_list_is_narrowed_by_words(self, store: Store, clock: StandingClock) -> None:
        """A conversation is meant when its title, or one of its messages, holds every word."""
        talks = [
            await Talk.begin(store, clock, title=title) for title in ("Lisbon hotel", "two", "three", "four")
        ]
        await talks[1].append("A hotel in Lisbon")
        await talks[2].append("A hotel")
        await talks[2].append("In Lisbon")

        async def titles(text: str) -> list[str | None]:
            where = ConversationFilter(text=text)
            return [record.title for record in await store.find_conversations(OWNER, where=where)]

        assert ["two", "Lisbon hotel"] == await titles("hotel lisb")
        assert ["three", "two", "Lisbon hotel"] == await titles("lisbon")
        assert ([], []) == (await titles("porto"), await titles("!?"))

    async def test_the_index_can_be_made_anew(self, store: Store, clock: StandingClock) -> None:
        """The same is found as before, of one owner or of all, and it is said how much there is to find."""
        talk = await Talk.begin(store, clock, title="Lisbon")
        attempt = await talk.ask("To Lisbon?")
        await talk.show(attempt, clock.new_id(), "Lisbon, it")
        theirs = attrs.evolve(make_record(clock, "Lisbon too"), owner=STRANGER)
        await store.add_conversation(theirs)
        expected = ["To [Lisbon]?", "[Lisbon]"]

        assert 2 == await store.rebuild_search(OWNER)
        assert expected == await search(store, "lisbon")
        assert 3 == await store.rebuild_search()
        assert expected == await search(store, "lisbon")
        assert ["[Lisbon] too"] == render(await store.search(STRANGER, "lisbon"))
