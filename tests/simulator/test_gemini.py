"""Google's generateContent and its relatives, held against recorded answers."""

from __future__ import annotations

import json

import pytest

from .conftest import endpoint, render, said
from .dialects import DIALECTS, png

PATH = endpoint("gemini")
STREAM = PATH.replace(":generate", ":streamGenerate")
OFF = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
LOW = [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_LOW_AND_ABOVE"}]

# Recorded from gemini-2.5-flash in 2026.
RECORDED = {
    "candidates": [
        {
            "content": {"parts": [{"text": "The capital of France is"}], "role": "model"},
            "finishReason": "MAX_TOKENS",
            "index": 0,
        }
    ],
    "modelVersion": "gemini-2.5-flash",
    "responseId": "R5MoavWNNp_8qtsP2fWD2A0",
    "usageMetadata": {
        "candidatesTokenCount": 5,
        "promptTokenCount": 15,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 15}],
        "serviceTier": "standard",
        "totalTokenCount": 20,
    },
}


async def test_a_cut_answer_has_the_recorded_shape(caller):
    """
    The limit is kept and told, in an object of the recorded keys, whose counts add up.
    """
    _, answer = await caller.post(
        PATH, render("gemini", "Count to 9.") | {"generationConfig": {"maxOutputTokens": 2}}
    )
    usage, recorded = answer["usageMetadata"], RECORDED["usageMetadata"]

    assert answer.keys() == RECORDED.keys()
    assert (answer["candidates"][0].keys(), usage.keys()) == (
        RECORDED["candidates"][0].keys(),
        recorded.keys(),
    )
    assert (said(answer), answer["candidates"][0]["finishReason"]) == ("1, 2, 3,", "MAX_TOKENS")
    assert (usage["promptTokenCount"], usage["candidatesTokenCount"], usage["totalTokenCount"]) == (
        3 + 4,
        2,
        9,
    )


async def test_a_stream_ends_with_its_finish_reason(caller):
    """
    Every chunk counts up to itself; only the last one says why the answer ends.
    """
    chunks = await caller.stream("gemini", "Count to 3.")

    assert [said(chunk) for chunk in chunks] == ["1,", " 2,", " 3."]
    assert [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in chunks] == [1, 2, 2]
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks] == [None, None, "STOP"]


async def test_events_end_with_carriage_returns(caller):
    """
    Google writes its events with CR and LF.
    """
    _, headers, text = await caller.call("POST", f"{STREAM}?alt=sse", render("gemini", "Count to 3."))

    assert headers["content-type"] == "text/event-stream"
    assert headers["x-gemini-service-tier"] == "standard"
    assert text.count("\n") == text.count("\r\n") == 2 * 3


async def test_a_stream_without_sse_is_one_array(caller):
    """
    Without alt=sse the chunks are the elements of a JSON array, and so is an error.
    """
    _, chunks = await caller.post(STREAM, render("gemini", "Count to 3."))
    status, refused = await caller.post(STREAM, render("gemini", "Hello"), x_goog_api_key="wrong")

    assert "".join(map(said, chunks)) == "1, 2, 3."
    assert (status, refused[0]["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_the_key_may_be_in_the_query(caller):
    """
    Google takes a key in the URL, unwise as that is.
    """
    status, _ = await caller.post(f"{PATH}?key=sim-key", render("gemini", "Hello"), x_goog_api_key="")

    assert status == 200


@pytest.mark.parametrize("settings", [[], LOW, LOW + OFF])
async def test_a_blocked_prompt_has_no_candidate(caller, settings):
    """
    The magic word is blocked with a reason, ratings and a count of the prompt.
    """
    status, answer = await caller.post(PATH, render("gemini", "blockprompt!") | {"safetySettings": settings})
    feedback = answer["promptFeedback"]

    assert (status, "candidates" in answer, feedback["blockReason"]) == (200, False, "SAFETY")
    assert [rating["category"] for rating in feedback["safetyRatings"] if rating.get("blocked")] == [
        settings[0]["category"] if settings else "HARM_CATEGORY_HARASSMENT"
    ]
    assert answer["usageMetadata"]["totalTokenCount"] == answer["usageMetadata"]["promptTokenCount"] == 7


@pytest.mark.parametrize("word", ["blockprompt", "blockanswer"])
async def test_nothing_is_blocked_with_the_filters_off(caller, word):
    """
    A service whose filters are off answers even the magic words.
    """
    _, answer = await caller.post(PATH, render("gemini", word) | {"safetySettings": OFF})

    assert answer["candidates"][0]["finishReason"] == "STOP"


async def test_a_blocked_answer_stops_after_two_words(caller):
    """
    Two chunks of text come, then one that says why no more do; without a stream, all of it at once.
    """
    chunks = await caller.stream("gemini", "blockanswer")
    _, answer = await caller.ask("gemini", "blockanswer")

    assert [said(chunk) for chunk in chunks[:-1]] == ["I", " was"]
    assert chunks[-1]["candidates"][0].keys() == {"finishReason", "index", "safetyRatings"}
    assert (said(answer), answer["candidates"][0]["finishReason"]) == ("I was", "SAFETY")
    assert answer["candidates"][0]["safetyRatings"][0]["blocked"] is True


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 1}, 'Unknown name "temperature": Cannot find field.'),
        (
            {"generationConfig": {"stop": []}},
            "Unknown name \"stop\" at 'generation_config': Cannot find field.",
        ),
        ({"contents": [{"parts": [{"txt": "Hi"}]}]}, "Unknown name \"txt\" at 'contents[0].parts[0]'"),
        (
            {"contents": [{"role": "system", "parts": [{"text": "Hi"}]}]},
            "Please use a valid role: user, model.",
        ),
        ({"contents": [{"role": "model", "parts": [{"text": "Hi"}]}]}, "start with a user turn"),
        ({"contents": [{"role": "user", "parts": []}]}, "contents.parts must not be empty"),
        ({"contents": []}, "contents is not specified"),
        (
            {"safetySettings": [{"category": "HARASSMENT", "threshold": "OFF"}]},
            'google.ai.generativelanguage.v1.HarmCategory), "HARASSMENT"',
        ),
        (
            {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK"}]},
            "Invalid value at 'safety_settings[0].threshold'",
        ),
        (
            {"safetySettings": [{"category": "HARM_CATEGORY_JAILBREAK", "threshold": "OFF"}]},
            "safety_settings[0]: element predicate failed",
        ),
        ({"safetySettings": OFF * 2}, "Multiple safety settings with the same category."),
        (
            {"generationConfig": {"maxOutputTokens": "few"}},
            "'generation_config.max_output_tokens' (TYPE_INT32)",
        ),
        ({"contents": [{"parts": [{"text": "x" * 4 * 1_048_576}]}]}, "input token count (1048580) exceeds"),
    ],
)
async def test_google_refuses_what_google_refuses(caller, change, words):
    """
    A bad request is refused as an invalid argument, in words that name the fault.
    """
    status, body = await caller.post(PATH, render("gemini", "Hello") | change)

    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in body["error"]["message"]


async def test_snake_case_is_understood(caller, simulator):
    """
    Google reads the names of its protocol buffers as well as their JSON spelling.
    """
    system = {"system_instruction": {"parts": [{"text": "Be brief."}]}}

    status, _ = await caller.post(PATH, render("gemini", "Hello") | system)

    assert (status, simulator.sent_to("gemini").system) == (200, "Be brief.")


async def test_tokens_are_counted_before_they_are_sent(caller):
    """
    Both spellings of the request count what the answer will be charged for.
    """
    path = PATH.replace(":generateContent", ":countTokens")
    body = render("gemini", "Count to 3.")

    _, counted = await caller.post(path, body)
    _, nested = await caller.post(path, {"generateContentRequest": body})

    assert (
        counted
        == nested
        == {"totalTokens": 7, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}]}
    )


async def test_an_image_has_tokens_of_its_own(caller):
    """
    An attachment is counted beside the text.
    """
    answer = await caller.put(
        DIALECTS["gemini"], DIALECTS["gemini"].render_parts([("user", ["Look", png()])])
    )

    assert answer["usageMetadata"]["promptTokensDetails"] == [
        {"modality": "TEXT", "tokenCount": 5},
        {"modality": "IMAGE", "tokenCount": 258},
    ]


async def test_an_answer_ends_before_a_stop_sequence(caller):
    """
    What comes before it is a whole answer.
    """
    _, answer = await caller.post(
        PATH, render("gemini", "Count to 5.") | {"generationConfig": {"stopSequences": [" 3"]}}
    )

    assert (said(answer), answer["candidates"][0]["finishReason"]) == ("1, 2,", "STOP")


@pytest.mark.parametrize(("level", "thoughts"), [("LOW", 16), ("HIGH", 64)])
async def test_thoughts_have_tokens_of_their_own(caller, level, thoughts):
    """
    They are counted beside the answer, and in the total.
    """
    config = {"thinkingConfig": {"thinkingLevel": level}}
    _, answer = await caller.post(PATH, render("gemini", "Count to 3.") | {"generationConfig": config})
    usage = answer["usageMetadata"]

    assert (usage["thoughtsTokenCount"], usage["candidatesTokenCount"]) == (thoughts, 2)
    assert usage["totalTokenCount"] == 7 + 2 + thoughts


async def test_the_model_list_comes_in_pages(caller):
    """
    The pages follow one another and are together the whole list.
    """
    whole = (await caller.get("/gemini/v1/models"))["models"]
    pages, token = [], ""
    while token is not None:
        page = await caller.get(f"/gemini/v1/models?pageSize=6&pageToken={token}")
        pages.append(page["models"])
        token = page.get("nextPageToken")

    assert [len(page) for page in pages] == [6, 6, 3]
    assert [model for page in pages for model in page] == whole
    assert await caller.get("/gemini/v1/models/gemini-2.5-pro") in whole


async def test_a_bad_page_token_is_refused(caller):
    """
    A token that was never given is an invalid argument.
    """
    assert (await caller.call("GET", "/gemini/v1/models?pageToken=xyz"))[0] == 400


async def test_aliases_are_for_v1beta(caller):
    """
    A -latest name is answered by the model behind it, on v1beta only.
    """
    alias = PATH.replace("gemini-3.5-flash", "gemini-flash-latest")

    status, body = await caller.post(alias, render("gemini", "Hello"))
    _, answer = await caller.post(alias.replace("/v1/", "/v1beta/"), render("gemini", "Hello"))

    assert (status, answer["modelVersion"]) == (404, "gemini-3.8-flash")
    assert body["error"]["message"].startswith(
        "models/gemini-flash-latest is not found for API version v1, or"
    )


async def test_an_embedding_model_does_not_generate(caller):
    """
    A model is found only for what it can do.
    """
    status, _ = await caller.post(
        PATH.replace("gemini-3.5-flash", "gemini-embedding-001"), render("gemini", "Hello")
    )

    assert status == 404


async def test_a_body_that_is_not_json_is_refused(caller):
    """
    Each service refuses what it cannot parse.
    """
    assert [(await caller.call("POST", endpoint(name), None))[0] for name in ("gemini", "openai", "xai")] == [
        400,
        400,
        415,
    ]
    assert json.loads((await caller.call("POST", PATH))[2])["error"]["status"] == "INVALID_ARGUMENT"
