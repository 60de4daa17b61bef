"""What Gemini answers besides words and calls, what it costs, and what is no answer at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import (
    Audio,
    Document,
    Foreign,
    Image,
    Message,
    OpaqueState,
    Part,
    ProtocolError,
    ProviderReply,
    Request,
    Role,
    Target,
    Text,
    Video,
)
from tertulia.runtime.serialization import decode_json
from tertulia.wire import ErrorAnswer
from tertulia_gemini.answers import GeminiStream, parse_response
from tertulia_gemini.usage import parse_billing
from tertulia_gemini.wire import render_request

DOT = b"\x89PNG\r\n\x1a\n"
INLINE = {"mimeType": "image/png", "data": "iVBORw0KGgo="}


def ours(state: dict[str, Any]) -> OpaqueState:
    return OpaqueState("mine", state)


def whole(*parts: Any, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": "STOP", **candidate}]}


def read(*parts: Any, **candidate: Any) -> tuple[Part, ...]:
    return parse_response(whole(*parts, **candidate), "mine").parts


def render_back(parts: tuple[Part, ...], provider: str = "mine") -> list[dict[str, Any]]:
    """The parts that an answer is sent back as to a provider."""
    history = (Message.of("user", "Draw."), Message(Role.ASSISTANT, parts))
    contents = render_request(Request(Target(provider, "some-model"), history), {}).body["contents"]
    return contents[1]["parts"] if len(contents) > 1 else []


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        pytest.param({"inlineData": INLINE}, Image(DOT, "image/png", opaque=ours({})), id="image"),
        pytest.param(
            {"inlineData": INLINE, "thoughtSignature": "c2ln"},
            Image(DOT, "image/png", opaque=ours({"thoughtSignature": "c2ln"})),
            id="signed image",
        ),
        pytest.param(
            {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
            Audio(b"RIFF", "audio/wav", opaque=ours({})),
            id="sound",
        ),
        pytest.param(
            {"inlineData": {"mimeType": "video/mp4", "data": "ZnR5cA=="}},
            Video(b"ftyp", "video/mp4", opaque=ours({})),
            id="film",
        ),
        pytest.param(
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0xLjc="}},
            Document(b"%PDF-1.7", "application/pdf", opaque=ours({})),
            id="document",
        ),
    ],
)
def test_what_gemini_draws_goes_back_to_it_alone(part, expected):
    """
    It is a part of the answer with its bytes, goes back as it came, and to nobody else.
    """
    assert (expected,) == read(part)
    assert [part] == render_back(read(part))
    assert [] == render_back(read(part), provider="theirs")


def test_the_other_alphabet_of_base64_is_read_too():
    """
    Google's own encoder writes ``-`` and ``_``, and no padding.
    """
    (image,) = read({"inlineData": {"mimeType": "image/png", "data": "-_8"}})

    assert b"\xfb\xff" == image.data


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"executableCode": {"code": "1"}, "thoughtSignature": "c2ln"}, "executableCode"),
        ({"codeExecutionResult": {"outcome": "OUTCOME_OK"}}, "codeExecutionResult"),
        ({"thoughtSignature": "c2ln", "toolCall": {"toolType": "FILE_SEARCH"}}, "toolCall"),
        ({"thoughtSignature": "c2ln", "toolResponse": {"id": "1"}}, "toolResponse"),
        ({"thought": True, "inlineData": INLINE}, "inlineData"),
        ({"inlineData": {"mimeType": "image/png", "data": "not base64!"}}, "inlineData"),
        ({"inlineData": {"mimeType": "image/png"}}, "inlineData"),
        ({"inlineData": "text"}, "inlineData"),
        ({"brandNew": 1}, "brandNew"),
        ({"thoughtSignature": "c2ln"}, "empty part"),
    ],
)
def test_a_part_without_a_neutral_form_is_kept_whole(part, kind):
    """
    Code that Gemini ran, searches it made, sketches and whatever is new go back exactly as they came.
    """
    assert (Foreign(kind, ours(part)),) == read(part)
    assert [part] == render_back(read(part))


def test_what_stands_beside_an_answer_is_kept_at_its_end():
    """
    Sources, citations and addresses that were read are parts of their own, the last of each.
    """
    stream = GeminiStream("mine")
    stream.read(whole({"text": "It "}, groundingMetadata={}, urlContextMetadata={"urlMetadata": [1]}))
    stream.read(whole({"text": "rains."}, groundingMetadata={"webSearchQueries": ["rain"]}))
    stream.read(whole(groundingMetadata={"webSearchQueries": ["rain", "sun"]}, citationMetadata={"a": 1}))

    reply = stream.end()

    assert (
        Text("It rains."),
        Foreign("urlContextMetadata", ours({"urlContextMetadata": {"urlMetadata": [1]}})),
        Foreign("groundingMetadata", ours({"groundingMetadata": {"webSearchQueries": ["rain", "sun"]}})),
        Foreign("citationMetadata", ours({"citationMetadata": {"a": 1}})),
    ) == reply.parts
    assert [{"text": "It rains."}] == render_back(reply.parts)
    assert {"google_search": 2, "grounded_prompt": 1} == reply.billing.tool_calls


@pytest.mark.parametrize(
    "parts", [(), ({"text": "Hm", "thought": True},), ({"text": "", "thoughtSignature": "c2ln"},)]
)
def test_sources_of_nothing_are_no_answer(parts):
    """
    Where nothing was said there is nothing to give sources for, and the answer stays an empty one.
    """
    with_sources = read(*parts, finishReason="RECITATION", citationMetadata={"citationSources": []})

    assert read(*parts, finishReason="RECITATION") == with_sources


def details(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in counts.items()]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({}, (0, 0), id="no usage"),
        pytest.param({"promptTokensDetails": details(TEXT=10)}, (0, 0), id="no sound"),
        pytest.param({"promptTokensDetails": details(TEXT=10, AUDIO=100)}, (100, 0), id="sound"),
        pytest.param(
            {
                "promptTokensDetails": details(AUDIO=100),
                "toolUsePromptTokensDetails": details(AUDIO=5),
                "cacheTokensDetails": details(AUDIO=40, TEXT=3),
            },
            (65, 40),
            id="sound in every class",
        ),
        pytest.param({"cacheTokensDetails": details(AUDIO=40)}, (None, 40), id="more in the cache than sent"),
        pytest.param({"promptTokensDetails": [{"modality": "AUDIO"}, 5]}, (0, 0), id="without a count"),
    ],
)
def test_sound_is_counted_apart(usage, expected):
    """
    Where sound has a price of its own it has to be known how much there was, and what came from a cache.
    """
    billing = parse_billing(usage, {})

    assert expected == (billing.audio_input_tokens, billing.audio_cache_read_tokens)


@pytest.mark.parametrize(
    ("grounding", "expected"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param(
            {"webSearchQueries": ["a", "b"]}, {"google_search": 2, "grounded_prompt": 1}, id="queries"
        ),
        pytest.param({"groundingChunks": [{"web": {"uri": "u"}}]}, {"grounded_prompt": 1}, id="pages"),
        pytest.param({"groundingChunks": [{"retrievedContext": {"text": "t"}}]}, {}, id="own files"),
        pytest.param({"groundingChunks": [{"maps": {"uri": "u"}}]}, {"google_maps": 1}, id="maps"),
        pytest.param({"webSearchQueries": "a", "groundingChunks": 5}, {}, id="of another type"),
    ],
)
def test_searches_are_counted(grounding, expected):
    """
    Newer models pay by the query and older ones by the prompt, so both are counted.
    """
    assert expected == parse_billing({}, grounding).tool_calls


WHOLE_ANSWER = json.dumps(
    {
        **whole(
            {"text": "Hm", "thought": True},
            {"text": "Hi", "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "1", "name": "a", "args": {"n": 1}}},
            {"inlineData": INLINE},
            safetyRatings=[{"category": "c", "probability": "LOW", "blocked": True}],
            groundingMetadata={"webSearchQueries": ["rain"], "groundingChunks": [{"web": {"uri": "u"}}]},
        ),
        "usageMetadata": {
            "promptTokenCount": 1,
            "totalTokenCount": 1,
            "promptTokensDetails": details(AUDIO=1),
        },
        "promptFeedback": {"blockReason": "OTHER", "safetyRatings": []},
        "modelVersion": "m",
        "responseId": "r",
    }
)


def find_places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document, the document's own first."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in find_places(item, (*path, key)))]


PLACES = find_places(json.loads(WHOLE_ANSWER))
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just([None]),
    st.just({"text": 5}),
    st.just("\ud83d"),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(PLACES[1:]), ODD), min_size=1, max_size=3))
def test_whatever_stands_in_an_answer_it_is_read_or_refused(changes):
    """
    Anything may be anywhere: the answer is read, and can be sent again, or it is an error of ours.
    """
    body = json.loads(WHOLE_ANSWER)
    for (*parents, last), odd in changes:
        owner = body
        for key in parents:
            owner = owner[key] if isinstance(owner, dict | list) and _has(owner, key) else None
        if isinstance(owner, dict | list) and _has(owner, last):
            owner[last] = odd

    assert outcome(lambda: parse_response(body, "mine")) in OUTCOMES


OUTCOMES = (ProviderReply, ProtocolError, ErrorAnswer)


def outcome(read: Callable[[], ProviderReply]) -> type:
    """What an answer is read as; one that is a reply can be sent again."""
    try:
        reply = read()
        render_back(reply.parts)
    except (ProtocolError, ErrorAnswer) as error:
        return type(error)
    return type(reply)


def _has(owner: Any, key: Any) -> bool:
    return key in owner if isinstance(owner, dict) else isinstance(key, int) and key < len(owner)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE_ANSWER) - 1), st.binary(max_size=2)), max_size=4))
def test_whatever_bytes_arrive_they_are_read_or_refused(changes):
    """
    An answer with other bytes in it is another answer, or an error of ours.
    """
    content = WHOLE_ANSWER.encode()
    for place, odd in changes:
        content = content[:place] + odd + content[place + 1 :]

    assert outcome(lambda: parse_response(decode_json(content), "mine")) in OUTCOMES


@settings(deadline=None, max_examples=50)
@given(st.recursive(ODD, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner)))
def test_no_document_at_all_breaks_the_reader(body):
    """
    What is no answer is a protocol error or the service's own, and never one of the language.
    """
    with pytest.raises((ProtocolError, ErrorAnswer)):
        parse_response(body, "mine")
