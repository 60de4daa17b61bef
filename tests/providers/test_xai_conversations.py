"""Conversations with the simulated xAI, which checks what comes back to it as the real one does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from driver_cases import DRIVERS, fail, send

import tertulia
from tertulia import FinishReason, Foreign, HostedTool, Money, Options, Reasoning
from tertulia_xai.models import MODELS

PAGE = (Path(__file__).parents[2] / "docs/reference/xai.md").read_text("utf-8")
BOTH = pytest.mark.parametrize("api", ["responses", "chat"])


def providers(simulator, api: str = "responses", **settings: object) -> dict[str, dict[str, object]]:
    """The simulated services, xAI in one of its formats."""
    tables = simulator.providers()
    return {**tables, "xai": {**tables["xai"], "api": api, "model": "grok-4.3", **settings}}


def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


@BOTH
async def test_functions_are_called_and_their_results_understood(simulator, api):
    """
    Two calls at once come back with two results, in a form that the service accepts.
    """
    async with tertulia.open(store="memory:", providers=providers(simulator, api)) as client:
        text = 'call weather with {"city": "Porto"} and call weather with {"city": "Faro"}'
        reply = await client.ask(text, provider="xai", tools=[weather])

    assert "weather said: sunny in Porto. weather said: sunny in Faro." == reply.text
    assert [2, 0] == [len(step.message.tool_calls) for step in (*reply.steps, reply)]


@BOTH
async def test_the_shape_of_an_answer_is_kept(simulator, api):
    """
    An answer is a value of the schema.
    """
    schema = {
        "title": "Answer",
        "type": "object",
        "properties": {"word": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["word", "count"],
        "additionalProperties": False,
    }
    async with tertulia.open(store="memory:", providers=providers(simulator, api)) as client:
        reply = await client.ask("Say a word.", provider="xai", schema=schema)

    assert {"word": "Say a word.", "count": 1} == reply.parsed


async def test_sealed_thoughts_come_back_after_another_provider_has_answered(simulator):
    """
    Each goes back unchanged and in its place, which the service checks; nobody else sees it.
    """
    async with tertulia.open(store="memory:", providers=providers(simulator)) as client:
        trip = await client.start(provider="xai")
        options = Options(reasoning_effort="high")
        first = await trip.send("My name is John.", options=options)
        await trip.switch("gemini")
        await trip.send("Count to 3.")
        await trip.switch("xai")
        reply = await trip.send("What is my name?", options=options)

    (sealed,) = [part.opaque.value for part in first.message.parts if isinstance(part, Reasoning)]
    sent = simulator.sent_to("xai").body["input"]
    assert sealed["encrypted_content"]
    assert [sealed, {"role": "assistant", "content": "Hello John."}] == sent[1:3]
    assert 1 == len([item for item in sent if item.get("type") == "reasoning"])
    assert sealed["encrypted_content"] not in str(simulator.sent_to("gemini").body)
    assert "Your name is John." == reply.text


async def test_a_search_of_xais_own_is_kept_paid_and_sent_back(simulator):
    """
    Its item is a part of the answer, its fee in the cost, and the next request is accepted with it.
    """
    async with tertulia.open(store="memory:", providers=providers(simulator)) as client:
        trip = await client.start(provider="xai")
        found = await trip.send("search for hotels", tools=[HostedTool("web_search")])
        thanks = await trip.send("My name is John.")

    (item,) = [part.opaque.value for part in found.message.parts if isinstance(part, Foreign)]
    assert "web_search_call" == item["type"]
    assert item in simulator.sent_to("xai").body["input"]
    assert 1 == found.raw_usage["server_side_tool_usage_details"]["web_search_calls"]
    assert found.cost.money == found.cost.computed
    assert found.cost.money.pico > Money.from_usd("0.005").pico
    assert "Hello John." == thanks.text


PDF = tertulia.Document(url="https://papers.example/lisbon.pdf", media_type="application/pdf")
UPLOADED = tertulia.Document(file=tertulia.ProviderFile("xai", "file-1"))


async def test_a_document_that_is_not_sent_may_be_words(simulator):
    """
    A text goes as words, with its name, because xAI takes no documents in a request.
    """
    note = tertulia.Document(data=b"Pack light.", media_type="text/plain", name="note.txt")
    async with tertulia.open(store="memory:", providers=providers(simulator)) as client:
        reply = await client.ask("What does it say?", provider="xai", attach=note)

    content = simulator.sent_to("xai").body["input"][-1]["content"]
    assert ["input_text", "input_text"] == [part["type"] for part in content]
    assert [] != [part for part in content if "Pack light." in part["text"] and "note.txt" in part["text"]]
    assert 1 == len(reply.warnings)


@pytest.mark.parametrize(
    ("api", "attached", "words"),
    [
        (
            "responses",
            tertulia.Document(data=b"%PDF-1.7", media_type="application/pdf"),
            "documents only from",
        ),
        (
            "responses",
            tertulia.Document(file=tertulia.ProviderFile("openai", "f-1")),
            "cannot be read by xai",
        ),
        ("responses", tertulia.Image(data=b"GIF89a", media_type="image/gif"), "and not image/gif"),
        ("responses", tertulia.Audio(data=b"RIFF", media_type="audio/wav"), "takes no sound"),
        ("chat", PDF, "takes no documents"),
        ("chat", UPLOADED, "takes no documents"),
    ],
)
async def test_what_xai_does_not_read_is_not_sent(simulator, api, attached, words):
    """
    The error says what it takes instead, and no request was made.
    """
    async with tertulia.open(store="memory:", providers=providers(simulator, api)) as client:
        with pytest.raises(tertulia.UnsupportedMediaError) as caught:
            await client.ask("What does it say?", provider="xai", attach=attached)

    assert words in caught.value.message
    assert (False, []) == (caught.value.sent, simulator.requests)


async def test_the_simulated_service_defers(simulator, connect):
    """
    The answer is there at the third look, once; a stream is not asked for.
    """
    simulator.defer(2)
    driver, table = DRIVERS["xai-chat"], simulator.providers()["xai"]
    provider, pauses = connect(driver, table["base_url"], settings={"deferred": True}), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    provider.sleep = sleep
    _, reply = await send(provider, driver.ask())
    ticket = simulator.requests[-1].path.rpartition("/")[2]
    with pytest.raises(tertulia.ProviderError) as caught:
        await provider.fetch_deferred(ticket)

    assert (FinishReason.STOP, [0.5, 0.75, 1.125]) == (reply.finish_reason, pauses)
    assert reply.billing.reported is not None
    assert 404 == caught.value.status


async def test_the_simulated_service_knows_its_keys_and_counts(simulator, connect):
    """
    A good key is verified, a wrong one is not, and texts are counted.
    """
    driver, url = DRIVERS["xai"], simulator.providers()["xai"]["base_url"]
    good, wrong = connect(driver, url), connect(driver, url, key="very-secret-and-wrong")

    await good.verify()
    with pytest.raises(tertulia.AuthenticationError):
        await wrong.verify()

    assert 1 <= await good.count_input_tokens(driver.ask()) - 189 - 3 <= 2


async def test_the_simulated_service_refuses_what_the_table_says(connect, simulator):
    """
    Sent past the checks, an effort that a model does not take is a typed error.
    """
    driver, url = DRIVERS["xai"], simulator.providers()["xai"]["base_url"]
    request = driver.ask(model="grok-4.5", options=Options(reasoning_effort="none"))

    _, error = await fail(connect(driver, url), request)

    assert ("unsupported_parameter", 400) == (error.kind, error.status)


def test_the_page_has_every_model_and_what_it_takes():
    """
    Windows, efforts and other names are those of the table; retired names are in the text.
    """
    table = PAGE.split("## Models\n")[1].split("\n`grok-latest` is")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[3:]]
    documented = {
        row[0].strip("`"): (int(row[1].replace(",", "")), row[2], tuple(re.findall(r"`([\w.-]+)`", row[3])))
        for row in rows
    }

    assert documented == {
        info.id: (
            info.context_window,
            efforts_in_words(info.reasoning_efforts, documented[info.id][1]),
            info.aliases,
        )
        for info in MODELS
        if info.successor is None
    }
    retired = [info.id for info in MODELS if info.successor is not None]
    assert [] == [name for name in retired if f"`{name}`" not in PAGE]


def efforts_in_words(efforts: tuple[str, ...] | None, documented: str) -> str:
    """How the page writes them; of those that are unknown it says why in its own words."""
    if efforts is None:
        return documented if documented.startswith("any word") else "any word"
    return ", ".join(efforts) or "not at all"
