"""Thoughts: when there are any, in words and sealed, and what becomes of a seal on its way back."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from tertulia_simulator.models import GEMINI_MODELS, OPENAI_MODELS
from tertulia_simulator.seals import seal, unseal

from .dialects import DIALECTS
from .toolbox import TOOLBOXES, function

INCLUDE = ["reasoning.encrypted_content"]
THOUGHT = "I think about “Count to 3.”."
TELL_TIME = function("tell_time")
ASKING = "call tell_time with {}"
GEMINI = "/gemini/v1/models/{}:generateContent"
LEVEL = {"thinkingLevel": "LOW"}


def responses(service: str, effort: str | None = "low", **more: Any) -> Any:
    """A request that makes a model think."""
    reasoning = {"reasoning": {"effort": effort}} if effort else {}
    return DIALECTS[service].render("Count to 3.", **reasoning) | more


def kinds(answer: Any) -> list[str]:
    return [item["type"] for item in answer["output"]]


async def think(caller: Any, service: str, **more: Any) -> Any:
    """An answer with a sealed thought."""
    _, answer = await caller.post(DIALECTS[service].path, responses(service, include=INCLUDE, **more))
    return answer


async def send_back(caller: Any, service: str, *items: Any, **more: Any) -> tuple[int, Any]:
    """A second request, with these items behind the question."""
    body = responses(service, None, **more)
    body["input"] += [*items]
    return await caller.post(DIALECTS[service].path, body)


@pytest.mark.parametrize("service", ["openai", "xai"])
async def test_a_model_thinks_when_it_is_told_how_hard(caller, service):
    """
    Told how hard, it gives a thought away before its answer; untold, none.
    """
    thinking = await think(caller, service)
    _, silent = await caller.post(DIALECTS[service].path, responses(service, None, include=INCLUDE))

    assert (["reasoning", "message"], ["message"]) == (kinds(thinking), kinds(silent))
    assert thinking["output"][0]["encrypted_content"]
    assert thinking["usage"]["output_tokens_details"]["reasoning_tokens"] == 16


async def test_a_thought_is_sealed_where_that_is_wanted(caller):
    """
    OpenAI seals it when asked to; the newest model of xAI does so always.
    """
    _, openai = await caller.post(DIALECTS["openai"].path, responses("openai"))
    _, older = await caller.post(DIALECTS["xai"].path, responses("xai"))
    _, newest = await caller.post(DIALECTS["xai"].path, responses("xai", model="grok-4.7"))

    assert {"id", "type", "summary"} == openai["output"][0].keys()
    assert "encrypted_content" not in older["output"][0]
    assert newest["output"][0]["encrypted_content"]


async def test_thoughts_are_told_where_that_is_wanted(caller):
    """
    OpenAI tells them when asked for a summary, xAI always, Gemini when asked to include them.
    """
    body = responses("openai")
    body["reasoning"]["summary"] = "auto"
    _, asked = await caller.post(DIALECTS["openai"].path, body)
    silent = await think(caller, "openai")
    xai = await think(caller, "xai")

    words = [{"type": "summary_text", "text": THOUGHT}]
    assert (words, [], words) == tuple(each["output"][0]["summary"] for each in (asked, silent, xai))


async def test_a_streamed_thought_is_the_whole_one(caller):
    """
    Its words come in the recorded events; the copy that is announced is not complete.
    """
    body = responses("openai", include=INCLUDE, stream=True)
    body["reasoning"]["summary"] = "detailed"
    _, _, text = await caller.call("POST", DIALECTS["openai"].path, body)
    events = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]
    added, *inner, done = [event for event in events if event.get("output_index") == 0]

    assert [
        "response.reasoning_summary_part.added",
        *["response.reasoning_summary_text.delta"] * 6,
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ] == [event["type"] for event in inner]
    assert THOUGHT == "".join(event.get("delta", "") for event in inner)
    assert done["item"]["encrypted_content"] != added["item"]["encrypted_content"]
    assert events[-1]["response"]["output"][0] == done["item"]


@pytest.mark.parametrize("service", ["openai", "xai"])
async def test_a_thought_comes_back_as_it_was(caller, service):
    """
    Before the answer that followed it, a thought is welcome.
    """
    thought, message = (await think(caller, service))["output"]
    status, answer = await send_back(caller, service, thought, message)

    assert 200 == status
    assert "input_transformations" not in answer


async def test_openai_refuses_a_thought_that_leads_to_nothing(caller):
    """
    A thought needs the item that followed it.
    """
    thought, _ = (await think(caller, "openai"))["output"]
    refusals = [
        await send_back(caller, "openai", thought),
        await send_back(caller, "openai", thought, {"role": "user", "content": "Go on."}),
    ]

    message = f"Item '{thought['id']}' of type 'reasoning' was provided without its required following item."
    assert [(400, message, "input")] * 2 == [
        (status, answer["error"]["message"], answer["error"]["param"]) for status, answer in refusals
    ]


async def test_a_seal_that_is_not_openais_is_refused(caller):
    """
    Changed, or from another service, a thought cannot be verified.
    """
    thought, message = (await think(caller, "openai"))["output"]
    foreign, _ = (await think(caller, "xai"))["output"]
    sealed = thought["encrypted_content"]
    changed = {
        **thought,
        "encrypted_content": sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:],
    }
    refusals = [
        await send_back(caller, "openai", each, message)
        for each in (changed, {**foreign, "id": "rs_1"}, {**thought, "encrypted_content": "gAAAAA?"})
    ]

    assert [(400, "invalid_encrypted_content")] * 3 == [
        (status, answer["error"]["code"]) for status, answer in refusals
    ]


async def test_a_thought_that_was_not_sealed_is_not_there(caller):
    """
    Nothing is kept at OpenAI: an id alone leads nowhere.
    """
    thought, message = (await think(caller, "openai"))["output"]
    del thought["encrypted_content"]
    status, answer = await send_back(caller, "openai", thought, message)

    assert (404, f"Item with id '{thought['id']}' not found.") == (
        status,
        answer["error"]["message"].partition(" Items")[0],
    )


async def test_thoughts_of_other_models_are_reported_and_left_out(caller):
    """
    OpenAI ignores what another model thought, or another organisation's, and says so.
    """
    thought, message = (await think(caller, "openai"))["output"]
    _, other_model = await send_back(caller, "openai", thought, message, model="gpt-6-sol")
    body = responses("openai", None)
    body["input"] += [thought, message]
    _, elsewhere = await caller.post(DIALECTS["openai"].path, body, openai_organization="org-2")

    assert [{"id": thought["id"], "action": "removed", "reason": "model_mismatch"}] == (
        other_model["input_transformations"]
    )
    assert "organization_mismatch" == elsewhere["input_transformations"][0]["reason"]


async def test_xai_refuses_a_seal_that_is_not_its_own(caller):
    """
    What xAI cannot decrypt it refuses.
    """
    foreign, message = (await think(caller, "openai"))["output"]
    status, answer = await send_back(caller, "xai", foreign, message)

    assert (400, "Could not decrypt the provided encrypted_content.") == (
        status,
        answer["error"].partition(" Please")[0],
    )


# What each model refuses to be told, and what it says.
EFFORTS = [
    (
        "openai",
        {"model": "gpt-6-sol", "reasoning": {"effort": "minimal"}},
        (
            "Unsupported value: 'minimal' is not supported with the 'gpt-6-sol' model. "
            "Supported values are: 'none', 'low', 'medium', 'high', 'xhigh', and 'max'."
        ),
    ),
    (
        "openai",
        {"model": "gpt-4o", "reasoning": {"effort": "low"}},
        "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
    ),
    (
        "openai-chat",
        {"model": "gpt-5", "reasoning_effort": "none"},
        (
            "Unsupported value: 'none' is not supported with the 'gpt-5' model. "
            "Supported values are: 'minimal', 'low', 'medium', and 'high'."
        ),
    ),
    (
        "openai-chat",
        {"model": "gpt-6-sol", "reasoning_effort": "max"},
        "Unsupported value: 'reasoning_effort' does not support 'max' with this model.",
    ),
    (
        "openai",
        {"text": {"verbosity": "loud"}},
        "Invalid value: 'loud'. Supported values are: 'low', 'medium' and 'high'.",
    ),
    (
        "xai",
        {"model": "grok-4.5", "reasoning": {"effort": "none"}},
        "This model does not support 'reasoning_effort' value 'none'.",
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), EFFORTS)
async def test_an_effort_that_a_model_does_not_know_is_refused(caller, name, change, message):
    """
    Each model knows its own efforts.
    """
    dialect = DIALECTS[name]
    status, answer = await caller.post(dialect.path, dialect.render("Hello", **change))

    error = answer["error"]
    assert (400, message) == (status, error if isinstance(error, str) else error["message"])


async def test_some_models_of_xai_are_told_nothing(caller, simulator):
    """
    Of grok-4.20, the parameter itself is refused.
    """
    simulator.set_models("xai", ["grok-4.20-0309-reasoning"])
    body = DIALECTS["xai"].render("Hello", model="grok-4.20-0309-reasoning", reasoning={"effort": "low"})
    status, answer = await caller.post(DIALECTS["xai"].path, body)

    assert (400, "Model grok-4.20-0309-reasoning does not support parameter reasoningEffort.") == (
        status,
        answer["error"],
    )


THINKING = [
    ("gemini-3.5-flash", {"thinkingLevel": "LOW", "thinkingBudget": 5}, "You can only set only one of"),
    ("gemini-3.8-flash", {"thinkingLevel": "minimal"}, "Thinking level MINIMAL is not supported"),
    ("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "Thinking level is not supported for this model."),
    ("gemini-2.5-pro", {"thinkingBudget": 0}, "Budget 0 is invalid. This model only works in thinking mode."),
    ("gemini-3.5-flash", {"thinkingLevel": "SOME"}, "Invalid value at 'generation_config.thinking_config"),
    ("gemini-3.5-flash", {"effort": "LOW"}, 'Invalid JSON payload received. Unknown name "effort"'),
]


@pytest.mark.parametrize(("model", "config", "message"), THINKING)
async def test_gemini_refuses_to_think_as_it_cannot(caller, model, config, message):
    """
    Each model knows its own levels or budgets.
    """
    body = DIALECTS["gemini"].render("Hello", generationConfig={"thinkingConfig": config})
    status, answer = await caller.post(GEMINI.format(model), body)

    assert 400 == status
    assert answer["error"]["message"].startswith(message)


@pytest.mark.parametrize(("budget", "tokens"), [(20, 20), (100_000, 256), (-1, 32), (0, None)])
async def test_a_budget_is_spent(caller, budget, tokens):
    """
    A budget is thought up, to a limit; -1 leaves it to the model.
    """
    config = {"thinkingConfig": {"thinkingBudget": budget}}
    body = DIALECTS["gemini"].render("Hello", generationConfig=config)
    _, answer = await caller.post(GEMINI.format("gemini-2.5-flash"), body)

    assert tokens == answer["usageMetadata"].get("thoughtsTokenCount")
    assert ("thoughtSignature" in answer["candidates"][0]["content"]["parts"][0]) is (tokens is not None)


async def test_gemini_tells_its_thoughts_and_signs_its_text(caller):
    """
    Thoughts come as parts of their own; in a stream, the signature comes on an empty text at the end.
    """
    config = {"generationConfig": {"thinkingConfig": LEVEL | {"includeThoughts": True}}}
    dialect = DIALECTS["gemini"]
    _, answer = await caller.post(dialect.path, dialect.render("Count to 3.", **config))
    _, _, body = await caller.call("POST", dialect.stream_path, dialect.render("Count to 3.", **config))
    chunks = [json.loads(line[6:])["candidates"][0] for line in body.split("\r\n") if line]
    streamed = [chunk["content"]["parts"][0] for chunk in chunks]

    thought, text = answer["candidates"][0]["content"]["parts"]
    assert ({"text": THOUGHT, "thought": True}, "1, 2, 3.") == (thought, text["text"])
    assert thought == streamed[0]
    assert (["1,", " 2,", " 3.", ""], "STOP") == (
        [part["text"] for part in streamed[1:]],
        chunks[-1]["finishReason"],
    )
    assert [False, False, False, False, True] == ["thoughtSignature" in part for part in streamed]
    assert text["thoughtSignature"] != streamed[-1]["thoughtSignature"]


async def test_a_signature_comes_back_on_its_part(caller):
    """
    On the part it was put on, a signature is welcome, whichever alphabet of base64 it comes in.
    """
    toolbox = TOOLBOXES["gemini"]
    first = await toolbox.ask(caller, ASKING, TELL_TIME)
    (part,) = first["candidates"][0]["content"]["parts"]
    signed = part["thoughtSignature"]
    part["thoughtSignature"] = signed.replace("+", "-").replace("/", "_").rstrip("=")
    answer = await toolbox.hand_back(caller, ASKING, first, ["noon"], TELL_TIME)

    assert "tell_time said: noon." == toolbox.said(answer)


def spoil_missing(parts: Any) -> None:
    del parts[0]["thoughtSignature"]


def spoil_changed(parts: Any) -> None:
    signed = parts[0]["thoughtSignature"]
    parts[0]["thoughtSignature"] = ("A" if signed[0] != "A" else "B") + signed[1:]


def spoil_moved(parts: Any) -> None:
    parts[0]["functionCall"]["args"] = {"zone": "UTC"}


def spoil_base64(parts: Any) -> None:
    parts[0]["thoughtSignature"] = "?"


def spoil_service(parts: Any) -> None:
    parts[0]["thoughtSignature"] = b64encode(b"gAAAAA").decode()


SPOILS = [
    (spoil_missing, "Function call is missing a thought_signature in functionCall parts."),
    (spoil_changed, "Thought signature is not valid."),
    (spoil_moved, "Thought signature is not valid."),
    (spoil_service, "Thought signature is not valid."),
    (spoil_base64, "Invalid value at 'contents[1].parts[0].thought_signature' (TYPE_BYTES)"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILS)
async def test_gemini_refuses_a_signature_that_is_not_as_it_was(caller, spoil, message):
    """
    Missing, changed, moved or not its own: none of these passes.
    """
    toolbox = TOOLBOXES["gemini"]
    first = await toolbox.ask(caller, ASKING, TELL_TIME)
    body = toolbox.render(ASKING, TELL_TIME)
    toolbox.add_results(body, first, ["noon"])
    spoil(body["contents"][1]["parts"])
    status, answer = await caller.post(toolbox.dialect.path, body)

    assert 400 == status
    assert answer["error"]["message"].startswith(message)


async def test_only_the_open_turn_needs_signatures(caller):
    """
    Once the user has spoken again, or at an older model, a call may come without one.
    """
    toolbox = TOOLBOXES["gemini"]
    first = await toolbox.ask(caller, ASKING, TELL_TIME)
    body = toolbox.render(ASKING, TELL_TIME)
    toolbox.add_results(body, first, ["noon"])
    spoil_missing(body["contents"][1]["parts"])
    old, _ = await caller.post(GEMINI.format("gemini-2.5-flash"), body)
    body["contents"].append({"role": "user", "parts": [{"text": "Thanks."}]})
    new, _ = await caller.post(toolbox.dialect.path, body)

    assert (200, 200) == (old, new)


@pytest.mark.parametrize(
    "placeholder",
    ["skip_thought_signature_validator", b64encode(b"skip_thought_signature_validator").decode()],
)
async def test_the_documented_placeholder_passes(caller, placeholder):
    """
    A call that Gemini did not make carries the placeholder, as it is or in base64.
    """
    toolbox = TOOLBOXES["gemini"]
    first = await toolbox.ask(caller, ASKING, TELL_TIME)
    first["candidates"][0]["content"]["parts"][0]["thoughtSignature"] = placeholder
    answer = await toolbox.hand_back(caller, ASKING, first, ["noon"], TELL_TIME)

    assert "tell_time said: noon." == toolbox.said(answer)


async def test_only_the_first_call_of_a_step_is_signed(caller):
    """
    Of calls made at once, the first carries the signature.
    """
    answer = await TOOLBOXES["gemini"].ask(caller, f"{ASKING}, {ASKING}", TELL_TIME)
    parts = answer["candidates"][0]["content"]["parts"]

    assert [True, False] == ["thoughtSignature" in part for part in parts]
    assert ["call0x1", "call1x1"] == [part["functionCall"]["id"] for part in parts]


def test_a_seal_fits_one_content():
    """
    A seal is read with the content it was put on, by the service that put it there.
    """
    sealed = seal("gemini", {"text": "a"}, number=1)

    assert {"number": 1} == unseal("gemini", {"text": "a"}, sealed)
    assert unseal("gemini", {"text": "b"}, sealed) is None
    assert unseal("xai", {"text": "a"}, sealed) is None
    assert unseal("gemini", {"text": "a"}, "no base64") is None


def test_the_models_know_how_hard_to_think():
    """
    Every model of OpenAI that reasons knows efforts, or takes any.
    """
    assert all(model.efforts or not model.knows_effort for model in OPENAI_MODELS if model.reasons)
    assert {"gemini-2.5-pro"} == {model.id for model in GEMINI_MODELS if model.always_thinks}
