"""Counting tokens before anything is sent."""

from __future__ import annotations

import struct

import pytest

import tertulia
from tertulia import (
    Audio,
    ContextLengthError,
    Document,
    Foreign,
    HostedTool,
    Image,
    Message,
    OpaqueState,
    ProviderFile,
    Request,
    ResponseSchema,
    Role,
    ServerError,
    Target,
    Text,
    TokenCount,
    TokenSource,
    TokenWeights,
    Tool,
    ToolCall,
    ToolResult,
    UnknownProviderError,
    Usage,
    Video,
    count_messages,
)
from tertulia.runtime.counting.estimate import estimate_text
from tertulia.runtime.counting.tokens import count_rest
from tertulia.testing import ScriptedProvider

WEIGHTS = TokenWeights(
    per_message=0, per_page=100, per_audio_second=10, per_video_second=1000, count_image=lambda image: 7
)
TEN_SECONDS = (
    b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0" + struct.pack("<II", 8, 8) + b"\0" * (44 - 32 + 80)
)


class CountedProvider(ScriptedProvider):
    """Its service counts, or fails to."""

    counted: int | None = 42
    failure: tertulia.ProviderError | None = None

    async def count_input_tokens(self, request: Request) -> int | None:
        self.requests.append(request)
        if self.failure is not None:
            raise self.failure
        return self.counted


def of_part(part: tertulia.Part, weights: TokenWeights = WEIGHTS) -> int:
    return count_messages([Message(Role.USER, (part,))], weights)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The quick brown fox", 4),
        ("it's I'm we'll", 6),
        ("camelCaseName", 3),
        ("internationalisation", 3),
        ("HELLO", 1),
        ("123456", 2),
        ("at 7", 3),
        ('{"a": 1}', 6),
        ("---------------\n", 2),
        ("a\n\n   b", 3),
        ("Grüße", 4),
        ("Việt", 1 + 0),
        ("Привет", 1.92),
        ("नमस्ते", 2.4),
        ("你好世界", 2.88),
        ("🙂", 1.75),
        ("ᚠᚢ", 1.2),
        ("", 0),
    ],
)
def test_words_are_counted_and_other_scripts_weighed(text, tokens):
    """
    A word, a number of up to three digits and a mark are a token each; other scripts weigh by character.
    """
    assert tokens == pytest.approx(estimate_text(text))


@pytest.mark.parametrize(
    "piece", ["\t", " ", "\n \t", "A", "a", "aB", "-", "!-", "1", " 1", "é", "aé1🙂", "\ud800"]
)
def test_no_text_takes_long(piece):
    """
    Twice the text is twice the tokens: whatever is repeated, nothing is looked at again and again.
    """
    once, twice = (estimate_text(piece * length) for length in (128 * 450, 128 * 900))

    assert 2 == pytest.approx(twice / once, rel=0.02)
    assert once >= 128 * 450 / 64


def test_every_digit_counts_where_the_provider_counts_each():
    """
    Six digits are two tokens, or six.
    """
    assert (2, 6) == (estimate_text("123456"), estimate_text("123456", digits_per_token=1))


def test_every_part_counts():
    """
    Calls, results and opaque state are in the count, with a constant for each message.
    """
    message = Message(
        Role.ASSISTANT,
        (
            Text("one two three"),
            ToolCall("1", "add", {"a": 1}),
            ToolCall("2", "add", None, "not JSON"),
            ToolResult("1", "add", "the sum"),
            Foreign("web_search_call", OpaqueState("openai", "four")),
            Foreign("nothing"),
        ),
    )

    # 3 of text; 1 and 4 of the first call, {" a ": 1 }; 1 and 2 of the second; 1 and 2 of the result; 3 of
    # the state, which is "four" in quotes.
    tokens = 3 + 1 + estimate_text('{"a":1}') + 1 + 2 + 1 + 2 + estimate_text('"four"')
    assert round(4 + tokens) == count_messages([message], TokenWeights())


def test_messages_counted_one_by_one_are_the_same_sum():
    """
    A sum does not depend on how it was divided, fractions or not.
    """
    messages = [Message.of("user", "你" * length) for length in range(1, 30)]

    assert sum(count_messages([each], TokenWeights()) for each in messages) == count_messages(
        messages, TokenWeights()
    )


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (Image(b"x"), 7),
        (Image(url="https://example.com/a.png"), 7),
        (Document(b"%PDF-1.4 /Type /Pages /Count 3 >>", "application/pdf"), 300),
        (Document(b"%PDF-1.4" + b"x" * 120_000, "application/pdf"), 300),
        (Document(url="https://example.com/a.pdf"), 1000),
        (Document(b"one two three", "text/plain"), 3),
        (Document(b"one \xff two", "text/plain"), 4),
        (Audio(TEN_SECONDS), 100),
        (Audio(b"?" * 32_000), 20),
        (Audio(url="https://example.com/a.mp3"), 600),
        (Video(b"?" * 500_000), 2000),
        (Video(file=ProviderFile("gemini", "files/1")), 60_000),
    ],
    ids=str,
)
def test_what_is_attached_counts_by_the_weights_of_the_provider(part, tokens):
    """
    Pages, seconds and pictures are measured where the file says how many, else guessed from its size.
    """
    assert tokens == pytest.approx(of_part(part), abs=1)


def test_a_vocabulary_takes_the_place_of_the_estimate():
    """
    What counts text can be given; images are counted as before.
    """
    message = Message(Role.USER, (Text("any"), Image(b"x"), ToolResult("1", "f", "x")))

    assert 100 + 7 + 200 == count_messages([message], WEIGHTS, count_text=lambda text: 100)


def test_tools_and_schema_count_once():
    """
    Tools and the schema cost a share of their JSON beside the constant of a request, hosted ones too.
    """
    weights = TokenWeights(per_request=5, tools=0.5)
    tool = Tool("add", "Add two numbers", {"type": "object"})
    in_full = '{"name":"add","description":"Add two numbers","parameters":{"type":"object"}}'

    assert 5 == count_rest((), None, weights)
    assert round(5 + estimate_text(in_full) / 2) == count_rest([tool], None, weights)
    assert count_rest([tool], None, weights) < count_rest([tool, HostedTool("web_search")], None, weights)
    assert 5 < count_rest((), ResponseSchema("answer", {"type": "object"}), weights)


def test_what_is_no_json_counts_as_it_is_written():
    """
    Arguments that nothing can write as JSON do not stop a count.
    """
    assert 2 <= of_part(ToolCall("1", "f", {"a": object}))


@pytest.fixture
async def service(open_client):
    """A client of one provider whose service counts."""
    provider = CountedProvider("one")
    async with open_client(store="memory:", providers={}, plugins=[provider], environ={}) as client:
        yield client, provider


async def test_a_count_is_an_estimate_unless_asked_for(service):
    """
    Nothing goes to the provider; seven tokens of text, four of the message and three of the request.
    """
    client, provider = service

    count = await client.count_tokens("What is the capital of France?", provider="one")

    assert TokenCount(7 + 4 + 3, exact=False, source=TokenSource.ESTIMATED) == count
    assert [] == provider.requests


async def test_the_default_provider_is_asked_where_none_is_named(service):
    """
    As with a send.
    """
    client, _ = service

    assert 14 == (await client.count_tokens("What is the capital of France?")).tokens


async def test_an_exact_count_comes_from_the_service(service):
    """
    The service is asked for the model that is named, with system messages first.
    """
    client, provider = service
    messages = [Message.of("user", "Hello"), Message.of("system", "Be brief.")]

    count = await client.count_tokens(messages, provider="one", model="other", exact=True)

    assert TokenCount(42, exact=True, source=TokenSource.PROVIDER) == count
    (request,) = provider.requests
    assert Target("one", "other") == request.target
    assert ["Be brief.", "Hello"] == [message.text for message in request.messages]


async def test_a_count_says_that_the_service_cannot_be_asked(service):
    """
    Where no service counts, the answer is an estimate and calls itself one.
    """
    client, provider = service
    provider.counted = None

    count = await client.count_tokens(Message.of("user", "Hello"), exact=True)

    assert TokenCount(8, exact=False, source=TokenSource.ESTIMATED) == count


async def test_a_service_that_fails_to_count_says_so(service):
    """
    An error is never an estimate.
    """
    client, provider = service
    provider.failure = ServerError("out of order", provider="one")

    with pytest.raises(ServerError, match="out of order"):
        await client.count_tokens("Hello", exact=True)


async def test_tokens_of_an_unknown_provider_are_not_counted(service):
    """
    A name that is not configured is an error here as everywhere.
    """
    with pytest.raises(UnknownProviderError):
        await service[0].count_tokens("Hello", provider="nobody")


async def test_answers_correct_the_estimates_for_their_model(service):
    """
    A service that reports 200 tokens more than was estimated is believed, for the model that answered.
    """
    client, provider = service
    provider.says("A", usage=Usage(214, 0, 0, 5, 0)).says("B", usage=Usage(114, 100, 0, 5, 0))
    for _ in range(2):
        await client.ask("What is the capital of France?")

    count = await client.count_tokens("What is the capital of France?")
    other = await client.count_tokens("What is the capital of France?", model="other")

    assert TokenSource.CALIBRATED == count.source
    assert 214 == pytest.approx(count.tokens, abs=6)
    assert TokenCount(14, exact=False, source=TokenSource.ESTIMATED) == other


async def test_what_pictures_take_says_nothing_of_words(service):
    """
    A picture that is a quarter of what was estimated corrects requests with pictures, and no others.
    """
    client, provider = service
    provider.IMAGES = tertulia.MediaLimits(frozenset({"image/png"}), urls=True)
    picture = Image(url="https://example.com/a.png")
    provider.says("A", usage=Usage(300, 0, 0, 5, 0))
    await client.ask("What is the capital of France?", attach=picture)

    words = await client.count_tokens("What is the capital of France?")
    seen = await client.count_tokens(Message(Role.USER, (picture, Text("And this?"))))

    assert TokenCount(14, exact=False, source=TokenSource.ESTIMATED) == words
    assert TokenSource.CALIBRATED == seen.source
    assert 200 < seen.tokens < 900


async def test_an_answer_without_usage_corrects_nothing(service):
    """
    What was not reported is not taken for nothing.
    """
    client, provider = service
    provider.says("A", usage=Usage())
    await client.ask("What is the capital of France?")

    assert TokenSource.ESTIMATED == (await client.count_tokens("Hello")).source


async def test_what_a_hosted_tool_read_corrects_nothing(service):
    """
    A search puts its findings into the prompt that is reported, and into no estimate.
    """
    client, provider = service
    provider.OPTIONS = frozenset({"hosted_tools"})
    provider.says("A", usage=Usage(20_000, 0, 0, 5, 0))
    await client.ask("What is new?", tools=[HostedTool("web_search")])

    assert TokenSource.ESTIMATED == (await client.count_tokens("Hello")).source


async def test_a_refusal_that_names_the_real_length_corrects_the_estimate(service):
    """
    A prompt that was too long tells how long it was.
    """
    client, provider = service
    provider.fails(ContextLengthError("too long", limit=100_000, requested=80_000))
    said = "word " * 50_000
    before = await client.count_tokens(said)
    with pytest.raises(ContextLengthError):
        await client.ask(said)

    after = await client.count_tokens(said)

    assert pytest.approx(50_000, rel=0.01) == before.tokens
    assert pytest.approx(80_000, rel=0.1) == after.tokens


async def test_a_refusal_without_a_length_corrects_nothing(service):
    """
    Too long, by nobody knows how much.
    """
    client, provider = service
    provider.fails(ContextLengthError("too long"))
    with pytest.raises(ContextLengthError):
        await client.ask("Hello")

    assert TokenSource.ESTIMATED == (await client.count_tokens("Hello")).source


async def test_an_override_counts_with_the_weights_of_the_provider(open_client):
    """
    A plugin with a vocabulary is given what else the addressed provider counts.
    """

    class Hundreds:
        @tertulia.hookimpl
        def count_tokens(self, model, messages, weights):
            return count_messages(messages, weights, count_text=lambda _: 100)

    provider = ScriptedProvider("one")
    provider.TOKEN_WEIGHTS = TokenWeights(per_message=20, per_request=3)
    plugins = [provider, Hundreds()]
    async with open_client(store="memory:", providers={}, plugins=plugins, environ={}) as client:
        count = await client.count_tokens("Hello")

    assert 100 + 20 + 3 == count.tokens


@pytest.mark.parametrize("provider", ["openai", "gemini", "xai"])
async def test_each_service_counts_itself(client, provider):
    """
    Each of the three can be asked, and its number is its own; xAI's own prompt is estimated.
    """
    count = await client.count_tokens("What is the capital of France?", provider=provider, exact=True)

    assert (provider != "xai", TokenSource.PROVIDER) == (count.exact, count.source)
    assert {"openai": 12, "gemini": 12, "xai": 200}[provider] == count.tokens
