"""What else can be ordered of a service: models, files, refusals, searches, and answers in several parts."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

import tertulia
from tertulia import ProviderFile
from tertulia_simulator import SentFile, SentImage

from .dialects import DIALECTS

PDF = b"%PDF-1.7 and so on"
UNKNOWN = "https://generativelanguage.googleapis.com/v1beta/files/none"


def message_of(answer: Any) -> str:
    error = answer["error"]
    return error if isinstance(error, str) else error["message"]


REFUSALS = [
    ("openai", "temperature", "Unsupported parameter: 'temperature' is not supported with this model."),
    ("openai-chat", "temperature", "Unsupported parameter: 'temperature' is not supported with this model."),
    ("xai", "temperature", "Argument not supported on this model: temperature"),
    ("xai-chat", "temperature", "Argument not supported on this model: temperature"),
    ("local", "temperature", "unknown field 'temperature'"),
]


@pytest.mark.parametrize(("name", "parameter", "message"), REFUSALS)
async def test_a_parameter_is_refused_until_it_is_accepted(caller, simulator, name, parameter, message):
    """
    Only requests with the parameter are refused, in the vendor's words, for as long as was said.
    """
    dialect = DIALECTS[name]
    body = dialect.render("Hello", **{parameter: 1}) | ({"model": "gpt-4o"} if "openai" in name else {})
    simulator.refuse_parameter(dialect.service, parameter)
    refused = [await caller.post(dialect.path, body) for _ in range(2)]
    plain, _ = await caller.post(dialect.path, dialect.render("Hello"))
    simulator.accept_parameter(dialect.service, parameter)
    accepted, _ = await caller.post(dialect.path, body)

    assert [(400, message)] * 2 == [(status, message_of(answer)) for status, answer in refused]
    assert (200, 200) == (plain, accepted)


async def test_a_parameter_inside_another_is_refused_so_often(caller, simulator):
    """
    Dots reach into objects; after so many times the parameter is accepted again.
    """
    simulator.refuse_parameter("gemini", "generationConfig.temperature", times=1)
    simulator.refuse_parameter("openai", "reasoning.effort", times=2)
    gemini = DIALECTS["gemini"].render("Hello", generationConfig={"temperature": 1})
    openai = DIALECTS["openai"].render("Hello", reasoning={"effort": "low"})
    statuses = [(await caller.post(DIALECTS["gemini"].path, gemini))[0] for _ in range(2)]
    first, *_ = answers = [await caller.post(DIALECTS["openai"].path, openai) for _ in range(3)]

    assert ([400, 200], [400, 400, 200]) == (statuses, [status for status, _ in answers])
    assert {
        "message": "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
        "type": "invalid_request_error",
        "param": "reasoning.effort",
        "code": "unsupported_parameter",
    } == first[1]["error"]


async def test_gemini_names_the_field_that_it_refuses(caller, simulator):
    """
    The field is told with its place.
    """
    simulator.refuse_parameter("gemini", "generationConfig.topK")
    body = DIALECTS["gemini"].render("Hello", generationConfig={"top_k": 1})
    _, answer = await caller.post(DIALECTS["gemini"].path, body)

    assert "Unknown name \"topK\" at 'generation_config': Cannot find field." in message_of(answer)


async def test_a_model_can_vanish(caller, simulator):
    """
    It is listed no more, and requests for it are refused as the vendor does.
    """
    for service, model in (("openai", "gpt-6.1-terra"), ("gemini", "gemini-3.5-flash"), ("xai", "grok-4.3")):
        simulator.remove_model(service, model)
    statuses = [
        (await caller.post(DIALECTS[name].path, DIALECTS[name].render("Hello")))[0]
        for name in ("openai", "openai-chat", "gemini", "xai")
    ]
    listed = [model["id"] for model in (await caller.get("/openai/v1/models"))["data"]]

    assert [400, 404, 404, 404] == statuses
    assert "gpt-6.1-terra" not in listed
    with pytest.raises(ValueError, match=r"no model 'gpt-6\.1-terra'"):
        simulator.remove_model("openai", "gpt-6.1-terra")


async def test_a_service_has_the_models_it_is_told(caller, simulator):
    """
    Those it never had are like its first; None is all it had in the beginning.
    """
    before = await caller.get("/xai/v1/language-models")
    simulator.set_models("xai", ["grok-9", "grok-4.3"])
    priced = await caller.get("/xai/v1/language-models")
    plain = await caller.get("/xai/v1/models")
    status, answer = await caller.post("/xai/v1/responses", DIALECTS["xai"].render("Hi", model="grok-9"))
    simulator.set_models("xai", None)

    assert ["grok-9", "grok-4.3"] == [model["id"] for model in priced["models"]]
    assert ["grok-9", "grok-4.3"] == [model["id"] for model in plain["data"]]
    assert (200, "grok-9") == (status, answer["model"])
    assert before == await caller.get("/xai/v1/language-models")


async def test_the_models_of_gemini_come_in_pages(caller, simulator):
    """
    As small as they are asked for, each with the token of the next.
    """
    simulator.set_models("gemini", ["gemini-a", "gemini-b", "gemini-c"])
    names, token = [], ""
    while token is not None:
        page = await caller.get(f"/gemini/v1/models?pageSize=2&pageToken={token}")
        names.append([model["name"] for model in page["models"]])
        token = page.get("nextPageToken")

    assert [["models/gemini-a", "models/gemini-b"], ["models/gemini-c"]] == names


def file_of(name: str, file: str) -> Any:
    """A request that refers to an uploaded document."""
    dialect = DIALECTS[name]
    if name == "gemini":
        part: Any = {"fileData": {"mimeType": "application/pdf", "fileUri": file}}
        return {"contents": [{"role": "user", "parts": [part, {"text": "Read."}]}]}
    if name.endswith("-chat"):
        parts = [{"type": "file", "file": {"file_id": file}}, {"type": "text", "text": "Read."}]
        return {"model": dialect.model, "messages": [{"role": "user", "content": parts}]}
    parts = [{"type": "input_file", "file_id": file}, {"type": "input_text", "text": "Read."}]
    return {"model": dialect.model, "input": [{"role": "user", "content": parts}]}


@pytest.mark.parametrize("name", ["openai", "openai-chat", "xai", "xai-chat", "gemini"])
async def test_an_uploaded_file_is_known(caller, simulator, name):
    """
    By its id or its address, a file is read as what was uploaded, until it is forgotten.
    """
    dialect = DIALECTS[name]
    file = simulator.add_file(dialect.service, PDF, "application/pdf", name="plan.pdf")
    status, _ = await caller.post(dialect.path, file_of(name, file))
    sent = simulator.sent_to(dialect.service)
    simulator.remove_file(dialect.service, file)
    gone, _ = await caller.post(dialect.path, file_of(name, file))

    assert 200 == status
    assert [SentFile("application/pdf", len(PDF), file=file, name="plan.pdf")] == sent.documents
    assert {"openai": 400, "openai-chat": 400, "xai": 404, "xai-chat": 404, "gemini": 403}[name] == gone
    with pytest.raises(ValueError, match="knows no file"):
        simulator.remove_file(dialect.service, file)


@pytest.mark.parametrize("media_type", ["application/pdf", "text/csv"])
async def test_geminis_files_are_known_under_the_simulators_own_address(simulator, media_type):
    """
    A driver that was sent here makes the address of a file of where it was sent.
    """
    file = simulator.add_file("gemini", PDF, media_type, name="plan.pdf")
    part = ProviderFile("gemini", "files/" + file.rpartition("/")[2])
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        await client.ask("Read.", provider="gemini", attach=part)
        sent = simulator.sent_to("gemini")
        simulator.remove_file("gemini", file)
        with pytest.raises(tertulia.ProviderError, match="permission to access the File") as caught:
            await client.ask("Read.", provider="gemini", attach=part)

    assert [SentFile(media_type, len(PDF), file=file, name="plan.pdf")] == sent.documents
    assert 403 == caught.value.status


async def test_an_uploaded_image_is_an_image(simulator):
    """
    A file that is known needs no type in the request.
    """
    file = simulator.add_file("gemini", b"\xff\xd8\xff", "image/jpeg")
    async with tertulia.open(store="memory:", providers=simulator.providers(), environ={}) as client:
        await client.ask("Look.", provider="gemini", attach=ProviderFile("gemini", file))

    assert [SentImage("image/jpeg", 3)] == simulator.sent_to("gemini").images


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("openai", "file-0", "Invalid 'input[0].content[0].file_id': no file found with id 'file-0'."),
        (
            "openai-chat",
            "file-0",
            "Invalid 'messages[0].content[0].file.file_id': no file found with id 'file-0'.",
        ),
        ("xai", "file-0", "File not found: file-0"),
        ("gemini", UNKNOWN, "You do not have permission to access the File none or it may not exist."),
    ],
)
async def test_a_file_that_nobody_uploaded_is_refused(caller, name, file, message):
    """
    Each service refuses it in its own words.
    """
    _, answer = await caller.post(DIALECTS[name].path, file_of(name, file))

    assert message == message_of(answer)


async def test_a_request_that_is_refused_leaves_what_waits(caller, simulator):
    """
    What was ordered to be said is said to the first request that is answered.
    """
    simulator.say("local", "Bom dia!")
    dialect = DIALECTS["local"]
    too_long, _ = await caller.post(dialect.path, dialect.render("x" * 140_000))
    answer = await caller.put(dialect, dialect.render("Hello"))

    assert (400, "Bom dia!") == (too_long, dialect.said(answer))


async def test_what_is_no_image_is_told_apart(caller, simulator):
    """
    Documents, sounds and videos are kept by their kind, and counted by it.
    """
    data = b64encode(b"12345").decode()
    media = ["application/pdf", "audio/mp3", "video/mp4", "text/plain"]
    parts = [{"inlineData": {"mimeType": kind, "data": data}} for kind in media]
    body = {"contents": [{"role": "user", "parts": [*parts, {"text": "What is this?"}]}]}
    _, answer = await caller.post(DIALECTS["gemini"].path, body)
    sent = simulator.sent_to("gemini")

    assert [SentFile("application/pdf", 5), SentFile("text/plain", 5)] == sent.documents
    assert ([SentFile("audio/mp3", 5)], [SentFile("video/mp4", 5)]) == (sent.audio, sent.videos)
    assert [("TEXT", 8), ("IMAGE", 516), ("AUDIO", 258), ("VIDEO", 258)] == [
        (detail["modality"], detail["tokenCount"])
        for detail in answer["usageMetadata"]["promptTokensDetails"]
    ]


async def test_documents_of_openai_are_read(caller, simulator):
    """
    Bytes and addresses of documents, and at models with an ear sounds.
    """
    data = b64encode(PDF).decode()
    parts: Any = [
        {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"},
        {"type": "input_file", "file_url": "https://example.com/b.pdf"},
    ]
    await caller.post(
        "/openai/v1/responses", {"model": "gpt-4o", "input": [{"role": "user", "content": parts}]}
    )
    documents = simulator.sent_to("openai").documents
    simulator.set_models("openai", ["gpt-audio"])
    sound = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    status, _ = await caller.post(
        "/openai/v1/chat/completions",
        {"model": "gpt-audio", "messages": [{"role": "user", "content": [sound]}]},
    )

    assert [
        SentFile("application/pdf", len(PDF), name="a.pdf"),
        SentFile(url="https://example.com/b.pdf"),
    ] == documents
    assert (200, [SentFile("audio/wav", len(PDF))]) == (status, simulator.sent_to("openai").audio)


WRONG_FILES = [
    ("openai", {"file_data": "data:audio/mpeg;base64,AAAA"}, "got unsupported MIME type 'audio/mpeg'."),
    ("openai", {"file_data": "AAAA"}, "got a value without the 'data:' prefix."),
    ("openai", {"file_data": "data:text/plain;base64,?"}, "got an invalid base64-encoded value."),
    ("openai", {}, "Missing required parameter: 'input[0].content[0].file_id'."),
    (
        "openai-chat",
        {"filename": "a", "file_data": "data:text/plain;base64,AAAA"},
        "got unsupported MIME type 'text/plain'.",
    ),
    (
        "openai-chat",
        {"file_data": "data:application/pdf;base64,AAAA"},
        "Missing required parameter: 'messages[0].content[0].file.filename'.",
    ),
    ("openai-chat", {}, "Missing required parameter: 'messages[0].content[0].file.file_id'."),
]


@pytest.mark.parametrize(("name", "file", "message"), WRONG_FILES)
async def test_a_document_that_cannot_be_read_is_refused(caller, name, file, message):
    """
    OpenAI reads texts and what offices write, and in Chat Completions PDF alone.
    """
    body = file_of(name, "")
    if name == "openai":
        body["input"][0]["content"][0] = {"type": "input_file", **file}
    else:
        body["messages"][0]["content"][0] = {"type": "file", "file": file}
    status, answer = await caller.post(DIALECTS[name].path, body)

    assert 400 == status
    assert message_of(answer).endswith(message)


async def test_a_long_answer_of_gemini_comes_in_parts(caller, simulator):
    """
    Each part ends with a token to go on with; together they are the answer, and each bills the input.
    """
    simulator.continue_after(2)
    dialect, body = DIALECTS["gemini"], DIALECTS["gemini"].render("Count to 6.")
    said, reasons, counts = [], [], []
    while not reasons or reasons[-1] == "CONTINUATION":
        answer = await caller.put(dialect, body)
        (candidate,) = answer["candidates"]
        said.append(dialect.said(answer))
        reasons.append(candidate["finishReason"])
        counts.append(answer["usageMetadata"]["promptTokenCount"])
        body["continuationToken"] = candidate.get("continuationToken")

    assert ["1, 2, 3,", " 4, 5, 6", "."] == said
    assert (["CONTINUATION", "CONTINUATION", "STOP"], [7, 7, 7]) == (reasons, counts)


async def test_a_token_to_go_on_with_cannot_be_made_up(caller):
    """
    A token that Gemini did not give is refused.
    """
    body = DIALECTS["gemini"].render("Count to 6.", continuationToken="made up")
    status, answer = await caller.post(DIALECTS["gemini"].path, body)

    assert (400, "The continuation token is not valid.") == (status, message_of(answer))


async def test_a_deferred_completion_is_there_once(caller, simulator):
    """
    Not yet, then once, and then no more.
    """
    simulator.defer(2)
    body = DIALECTS["xai-chat"].render("Count to 3.", deferred=True)
    _, given_id = await caller.post("/xai/v1/chat/completions", body)
    path = f"/xai/v1/chat/deferred-completion/{given_id['request_id']}"
    answers = [await caller.call("GET", path) for _ in range(4)]

    assert [202, 202, 200, 404] == [status for status, _, _ in answers]
    assert '"content": "1, 2, 3."' in answers[2][2]


async def test_a_deferred_completion_is_refused_at_once(caller):
    """
    What is wrong with a request is said before anybody waits.
    """
    body = DIALECTS["xai-chat"].render("Hello", deferred=True, model="grok-0")
    status, _ = await caller.post("/xai/v1/chat/completions", body)

    assert 404 == status


async def test_tokens_are_counted_before_an_answer(caller):
    """
    OpenAI, Gemini and xAI each count what an answer would report.
    """
    openai, gemini = DIALECTS["openai"].render("12345678"), DIALECTS["gemini"].render("12345678")
    del openai["store"]
    _, counted = await caller.post("/openai/v1/responses/input_tokens", openai)
    _, total = await caller.post("/gemini/v1/models/gemini-3.5-flash:countTokens", gemini)
    _, tokens = await caller.post("/xai/v1/tokenize-text", {"model": "grok-4.3", "text": "12345678"})
    answer = await caller.put(DIALECTS["openai"], openai)

    assert {"object": "response.input_tokens", "input_tokens": 6} == counted
    assert (6, 6) == (total["totalTokens"], answer["usage"]["input_tokens"])
    assert [
        {"token_id": 0, "string_token": "1234", "token_bytes": [49, 50, 51, 52]},
        {"token_id": 1, "string_token": "5678", "token_bytes": [53, 54, 55, 56]},
    ] == tokens["token_ids"]


async def test_counting_knows_no_parameters_of_the_answer(caller, simulator):
    """
    OpenAI refuses them where it only counts; counting is no generation.
    """
    body = DIALECTS["openai"].render("Hello")
    status, answer = await caller.post("/openai/v1/responses/input_tokens", body)

    assert (400, "Unknown parameter: 'store'.") == (status, message_of(answer))
    assert 0 == simulator.sent_to("openai").count


async def test_tools_and_their_results_are_counted(caller):
    """
    Four characters are a token in tools, calls and results as well.
    """
    tools = [{"type": "function", "name": "add"}]
    items = [
        {"role": "user", "content": "1234"},
        {"type": "function_call", "call_id": "a", "name": "add", "arguments": "12345"},
        {"type": "function_call_output", "call_id": "a", "output": "1234"},
    ]
    body = {"model": "gpt-4o", "input": items, "tools": tools}
    _, counted = await caller.post("/openai/v1/responses/input_tokens", body)

    # The tools are 34 characters; each item is four tokens more than what it says.
    assert 9 + (1 + 4) + (2 + 4) + (1 + 4) == counted["input_tokens"]


async def test_a_key_of_xai_can_be_looked_up(caller):
    """
    What xAI knows of a key does not show it.
    """
    key = await caller.get("/xai/v1/api-key")

    assert ("xai-...-key", False) == (key["redacted_api_key"], key["api_key_blocked"])


async def test_openai_searches_when_it_may(caller, simulator):
    """
    The search is an item of the answer, and is counted.
    """
    body = DIALECTS["openai"].render("Search for Lisbon.", tools=[{"type": "web_search"}])
    answer = await caller.put(DIALECTS["openai"], body)
    events = await caller.stream("openai", "Search for Lisbon.", tools=[{"type": "web_search"}])
    search, message = answer["output"]

    assert ("web_search_call", {"type": "search", "queries": ["Lisbon"], "query": "Lisbon"}) == (
        search["type"],
        search["action"],
    )
    assert "I searched for “Lisbon”." == message["content"][0]["text"]
    assert 1 == answer["tool_usage"]["web_search"]["num_requests"]
    assert [
        "response.output_item.added",
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.output_item.done",
    ] == [event["type"] for event in events if event.get("output_index") == 0]
    assert ["web_search"] == simulator.sent_to("openai").tools


async def test_a_search_at_xai_has_its_price(caller):
    """
    Five dollars for a thousand are in the cost, and the details say what was used.
    """
    body = DIALECTS["xai"].render("Search for Lisbon.", tools=[{"type": "web_search"}])
    usage = (await caller.put(DIALECTS["xai"], body))["usage"]
    tokens = usage["input_tokens"] * 12_500 + usage["output_tokens"] * 25_000

    assert (tokens + 50_000_000, 1) == (usage["cost_in_usd_ticks"], usage["num_server_side_tools_used"])
    assert 1 == usage["server_side_tool_usage_details"]["web_search_calls"]


async def test_gemini_says_what_it_searched_for(caller, simulator):
    """
    The queries are in the grounding, and their tokens in a count of their own.
    """
    body = DIALECTS["gemini"].render("Search the web for Lisbon.", tools=[{"googleSearch": {}}])
    answer = await caller.put(DIALECTS["gemini"], body)
    usage = answer["usageMetadata"]

    assert ["Lisbon"] == answer["candidates"][0]["groundingMetadata"]["webSearchQueries"]
    assert 10 == usage["toolUsePromptTokenCount"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"] + 10
    assert ["googleSearch"] == simulator.sent_to("gemini").tools


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (lambda simulator: simulator.say("openai", "Hi", times=0), "once or more, not 0 times"),
        (lambda simulator: simulator.refuse_parameter("xai", "a", times=0), "once or more, not 0 times"),
        (lambda simulator: simulator.continue_after(0), "one token or more, not 0"),
        (lambda simulator: simulator.defer(-1), "0 times or more, not -1"),
        (lambda simulator: simulator.say("claude", "Hi"), "no service 'claude'"),
    ],
)
def test_orders_that_make_no_sense_are_refused(simulator, order, message):
    """
    Each says what it was given and what it takes.
    """
    with pytest.raises(ValueError, match=message):
        order(simulator)
