"""Words, what is found by them, and how it is shown."""
# ruff: noqa: RUF001  # letters of all scripts are what it is about

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.domain.snippets import LENGTH, make_snippet
from tertulia.domain.terms import (
    LONGEST_WORD,
    MOST_WORDS,
    Query,
    find_terms,
    holds,
    matches,
    parse_query,
    render_terms,
    score,
)
from torture import scale

LETTERS = (
    "aAbBzZ019_ .,-'\"\n\t\x00äÄßéÉıİǅøŁœﬁ²½①ª™ΑΆαάςσᾳЖжйё"
    "אָבּשׁمَرحباﷺहिन्दी़ज़ไทยก็ุเ한국어ᄀ가北京东東々ひがガがｶﾞﾟー・𠮷\u0301\u0308\u0323\u0345"
    "\u200b\u200c\u200d\u00ad\ufeff\ufe0f🦀👩‍👧1️⃣\ud83d\u2028§ꭰᏰ𝐀Ａ＿㎏"
)
texts = st.text(st.sampled_from(LETTERS), max_size=30) | st.text(max_size=30)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The quick, brown fox_trot isn't 42!", "the quick brown fox trot isn t 42"),
        ("Straße MÜNCHEN Ǆ ﬁn", "strasse munchen dz fin"),
        ("e\u0301te\u0301 = été = ÉTÉ", "ete ete ete"),
        ("İstanbul ISTANBUL ıslak", "istanbul istanbul ıslak"),
        ("Ὀδυσσεύς ΟΔΥΣΣΕΥΣ ᾳ", "οδυσσευσ οδυσσευσ α"),
        ("Ёлка йод", "елка иод"),
        ("מִבְּרֵאשִׁית مَرْحَبًا", "מבראשית مرحبا"),
        ("हिन्दी में", "हिन्दी में"),
        ("북한 가까이", "북한 가까이"),
        ("我爱北京。iPhone手机", "我爱 爱北 北京 京 iphone 手机 机"),
        ("ガギ ｶﾞｷﾞ カギ", "ガギ ギ ガギ ギ カギ ギ"),
        ("ไทย", "ไท ทย ย"),
        ("𠮷野家", "𠮷野 野家 家"),
        ("ＦＵＬＬ 𝐁old x² ½", "full bold x2 1 2"),
        ("Schiff\u00adfahrt می\u200cخواهم zero\u200bspace", "schifffahrt میخواهم zero space"),
        ("❤️ 🦀 👩‍👧 1️⃣ \u0301 §", "1"),
        ("a\ud83db \x00 c\x00d", "a b c d"),
        ("Ꭰ ꭰ", "Ꭰ Ꭰ"),
    ],
)
def test_words_are_compared_as_people_read_them(text, terms):
    """Case, accents, width and ligatures make no difference; what has no spaces is taken in pairs."""
    assert terms.split() == find_terms(text)


@pytest.mark.parametrize(
    ("query", "prefixes", "words"),
    [
        ("C++ at the Café near 北京站?", ("at", "the", "cafe", "near", "北京", "京站"), ("c",)),
        ("a apple app", ("apple",), ("a",)),
        ("京 京都", ("京都",), ()),
        ("京", ("京",), ()),
        ("THE the The", ("the",), ()),
        ("!? 🦀 \u0301 ❤️", (), ()),
        ("x" * 500, ("x" * LONGEST_WORD,), ()),
    ],
)
def test_a_query_is_what_its_words_ask_for(query, prefixes, words):
    """What another word asks for already is left out, and a word of one letter is only found whole."""
    assert Query(prefixes, words) == parse_query(query)


def test_a_long_query_counts_to_a_limit():
    """Of very many words the first hundred are asked for."""
    assert MOST_WORDS == len(parse_query(" ".join(f"w{number:04}" for number in range(5000))).prefixes)


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("por", "the port", True),
        ("ort", "the port", False),
        ("port the", "The PORT", True),
        ("port sea", "the port", False),
        ("a", "apple", False),
        ("a", "an A", True),
        ("爱京", "我爱北京", False),
        ("京天", "我爱北京天安门", True),
        ("北京 天安", "我爱北京天安门", True),
        ("", "anything", False),
        ("§", "§", False),
        ("x" * 150, "x" * 120 + "yy", True),
    ],
)
def test_a_text_matches_that_holds_every_word(query, text, found):
    """A word finds what begins with it, nothing else, and no word finds nothing."""
    assert found is matches(query, text)


@settings(max_examples=scale(300), deadline=None)
@given(texts, texts)
def test_a_text_is_found_by_each_of_its_words(text, other):
    """Whatever a text is made of, each word of it finds it, alone and with all others, in another one too."""
    assert not find_terms(text) or matches(text, f"{other} {text}")
    assert all(matches(word, text) for word in text.split() if find_terms(word))


@settings(max_examples=scale(300), deadline=None)
@given(texts, texts)
def test_what_matches_is_marked(query, text):
    """Marks are in order, within the snippet and not empty, and there are some where a query matches."""
    sought = parse_query(query)
    snippet = make_snippet(sought, text)

    ends = [0, *(position for mark in snippet.marks for position in mark), len(snippet.text)]
    assert sorted(ends) == ends
    assert all(start < end for start, end in snippet.marks)
    assert "".join(snippet.render("", "")) == snippet.text
    if matches(query, text):
        assert snippet.marks
        assert score(sought, text) > 0


@settings(max_examples=scale(200), deadline=None)
@given(texts)
def test_terms_are_the_same_however_they_are_rendered(text):
    """What an index is given has the terms that a text has: runs of letters, digits and what is not ASCII."""
    runs = re.findall("[0-9A-Za-z\u0080-\U0010ffff]+", render_terms(text))
    terms = find_terms(text)

    assert terms == ["".join(map(lower_ascii, run)) for run in runs]
    assert all(holds(Query(words=(term,)), text) for term in terms)


def lower_ascii(character: str) -> str:
    """As an index of ASCII letters does it."""
    return character.lower() if character.isascii() else character


@pytest.mark.parametrize(
    ("query", "text", "shown"),
    [
        ("munch", "Das Café in München", "Das Café in [München]"),
        ("ete", "un e\u0301te\u0301 chaud", "un [e\u0301te\u0301] chaud"),
        ("strasse", "Auf der STRAẞE.", "Auf der [STRAẞE]."),
        ("北京", "我爱北京天安门", "我爱[北京]天安门"),
        ("北京天", "我爱北京天安门", "我爱[北京天]安门"),
        ("京", "我爱北京天安门", "我爱北[京]天安门"),
        ("ガ", "ｶﾞｷﾞ", "[ｶﾞ]ｷﾞ"),
        ("手机", "iPhone手机坏了", "iPhone[手机]坏了"),
        ("iph", "iPhone手机坏了", "[iPhone]手机坏了"),
        ("وسلم", "a ﷺ b", "a [ﷺ] b"),
        ("c", "C++ code", "[C]++ code"),
        ("two", "one\ntwo\tthree", "one [two] three"),
        ("nothing", "of that kind", "of that kind"),
        ("", "", ""),
    ],
)
def test_a_snippet_marks_whole_words_of_the_text(query, text, shown):
    """Marks stand where the words are in the text as it was written, whatever was folded to find them."""
    assert shown == make_snippet(parse_query(query), text).render()


def test_a_snippet_is_cut_where_most_of_the_words_are():
    """Of a long text the piece is shown that holds different words near together."""
    text = f"hotel {'far away ' * 100}the hotel by the river {'and so on ' * 100}river"
    shown = make_snippet(parse_query("hotel river"), text)

    assert "the [hotel] by the [river] and so on" in shown.render()
    assert len(shown.text) <= LENGTH + 2


@pytest.mark.parametrize("text", ["x" * 5000, "北" * 5000, "a" * 100 + " " + "x" * 5000, "é" * 5000])
def test_a_snippet_of_one_endless_word_is_short_too(text):
    """Where there is no boundary to cut at, it is cut all the same, and what is shown is marked."""
    snippet = make_snippet(parse_query(text[-50:]), text)

    assert len(snippet.text) <= LENGTH + 2
    assert snippet.marks


@pytest.mark.parametrize(
    "text",
    ["x" * 400_000, "é" * 100_000, "北京" * 50_000, "a é " * 50_000, "\u0301" * 100_000, "ﾞ" * 50_000],
)
def test_long_texts_take_time_in_proportion(text):
    """Nothing about a text makes its words take long."""
    began = time.process_time()
    sought = parse_query(text)
    matches(text, text)
    make_snippet(sought, text)

    assert time.process_time() - began < 5


def test_the_better_of_two_texts_scores_higher():
    """More often, in fewer words, and as a whole word is better."""
    sought = parse_query("port")

    def rank(text: str) -> float:
        return score(sought, text)

    assert rank("port port") > rank("port sea") > rank("porter")
    assert rank("port") > rank("port " + "sea " * 100) > rank("sea") == 0
    assert rank("Port") == rank("pórt")
