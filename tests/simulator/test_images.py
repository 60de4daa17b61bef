"""Images in every dialect: they arrive, are looked at, and are refused as each vendor refuses them."""

from __future__ import annotations

import base64
import struct

import pytest

from tertulia_simulator import SentImage
from tertulia_simulator.images import identify
from tertulia_simulator.recording import RecordedRequest
from tertulia_simulator.services.openai import OpenAI
from tertulia_simulator.services.xai import XAI

from .dialects import DIALECTS, png

URL = "https://example.com/cat.png"
QUESTION = "What is in this picture?"
SEEN = f"I see a PNG image of {len(png(3, 2))} bytes, 3 \N{MULTIPLICATION SIGN} 2 pixels."
GIF = b"GIF89a" + struct.pack("<HH", 5, 4) + bytes(10)
LARGEST = 20 * 2**20

JPEG = (
    b"\xff\xd8\xff\xe0"
    + struct.pack(">H", 16)
    + b"JFIF"
    + bytes(10)
    + b"\xff\xc4"
    + struct.pack(">H", 4)
    + bytes(2)
    + b"\xff\xc2"
    + struct.pack(">HBHH", 17, 8, 2, 3)
    + bytes(10)
)


def webp(kind: bytes, header: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + header


@pytest.mark.parametrize(
    ("content", "media_type", "pixels"),
    [
        (png(3, 2), "image/png", (3, 2)),
        (png(3, 2)[:20], "image/png", None),
        (GIF, "image/gif", (5, 4)),
        (JPEG, "image/jpeg", (3, 2)),
        (JPEG[:30], "image/jpeg", None),
        (b"\xff\xd8\xff\xd9", "image/jpeg", None),
        (webp(b"VP8 ", bytes(6) + struct.pack("<HH", 3 | 0x4000, 2)), "image/webp", (3, 2)),
        (webp(b"VP8L", b"/" + struct.pack("<I", 2 | 1 << 14)), "image/webp", (3, 2)),
        (webp(b"VP8X", bytes(4) + b"\x02\x00\x01\x01\x00\x00"), "image/webp", (65539, 2)),
        (webp(b"ICCP", b""), "image/webp", None),
        (bytes(4) + b"ftypheic" + bytes(8), "image/heic", None),
        (bytes(4) + b"ftypmif1" + bytes(8), "image/heif", None),
        (b"<svg/>", None, None),
        (b"", None, None),
    ],
)
def test_an_image_is_told_by_its_content(content, media_type, pixels):
    """
    Its type and its measures are read from its first bytes; what is cut or unknown is left out.
    """
    image = identify(content)

    assert (media_type, len(content), pixels) == (image.media_type, image.size, image.pixels)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (SentImage("image/png", 1234, pixels=(640, 1480)), "a PNG image of 1,234 bytes, 640 × 1,480 pixels"),  # noqa: RUF001
        (SentImage("image/webp", 1), "a WebP image of 1 byte"),
        (SentImage(None, 6), "an image of 6 bytes"),
        (SentImage(url=URL), f"an image at {URL}"),
        (SentImage(), "an image"),
    ],
)
def test_an_image_is_put_into_words(image, words):
    """
    What is not known about it is not said.
    """
    assert words == str(image)


async def test_an_image_arrives_in_every_dialect(caller, simulator, dialect):
    """
    The mind sees it, the counts have it, and the test can read it back.
    """
    answer = await caller.put(dialect, dialect.render_parts([("user", [QUESTION, png(3, 2)])]))

    assert SEEN == dialect.said(answer)
    assert [SentImage("image/png", len(png(3, 2)))] == simulator.sent_to(dialect.service).images
    assert [QUESTION] == simulator.sent_to(dialect.service).texts


async def test_an_image_costs_258_tokens(caller, dialect):
    """
    The same at every service, and named where the service has a name for it.
    """
    texts = [QUESTION]
    with_image, without = [
        (await caller.put(dialect, dialect.render_parts([("user", parts)])))
        for parts in ([*texts, png()], texts)
    ]

    def count(answer):
        usage = answer.get("usage") or answer["usageMetadata"]
        return usage.get("input_tokens") or usage.get("prompt_tokens") or usage["promptTokenCount"]

    assert 258 == count(with_image) - count(without)
    if dialect is DIALECTS["xai-chat"]:
        details = with_image["usage"]["prompt_tokens_details"]
        assert (count(without), 258) == (details["text_tokens"], details["image_tokens"])


@pytest.mark.parametrize("name", [name for name in DIALECTS if name != "local"])
async def test_an_address_arrives_too(caller, simulator, name):
    """
    It is not fetched, so that is all there is to say about it.
    """
    dialect = DIALECTS[name]
    answer = await caller.put(dialect, dialect.render_parts([("user", [QUESTION, URL])]))

    assert f"I see an image at {URL}." == dialect.said(answer)
    assert [SentImage(url=URL)] == simulator.sent_to(dialect.service).images


async def test_an_image_of_an_earlier_turn_is_still_there(caller, simulator, dialect):
    """
    What was sent along is seen again, the newest of two first.
    """
    talk = [
        ("user", ["Look at this.", png(9, 9), png(3, 2)]),
        ("assistant", ["I do."]),
        ("user", ["What was in the picture?"]),
    ]
    answer = await caller.put(dialect, dialect.render_parts(talk))

    assert SEEN == dialect.said(answer)
    assert 2 == len(simulator.sent_to(dialect.service).images)
    assert ["Look at this.", "I do.", "What was in the picture?"] == simulator.sent_to(dialect.service).texts


async def test_a_streamed_answer_sees_as_well(caller, dialect):
    """
    The same request with a stream describes the same image.
    """
    body = dialect.render_parts([("user", [QUESTION, png(3, 2)])])
    stream = {} if dialect.service == "gemini" else {"stream": True}

    _, _, text = await caller.call("POST", dialect.stream_path, body | stream)

    assert SEEN == "".join(dialect.hear(text))


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def render(name, address):
    """A request with one image, whose address is spelt as given."""
    dialect = DIALECTS[name]
    if isinstance(dialect, type(DIALECTS["openai"])):
        part = {"type": "input_image", "image_url": address}
    else:
        part = {"type": "image_url", "image_url": {"url": address}}
    body = dialect.render(QUESTION)
    (message,) = body.get("input") or body["messages"]
    message["content"].append(part)
    return body


async def refuse(caller, name, address):
    status, body = await caller.post(DIALECTS[name].path, render(name, address))
    return status, body["error"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("file:///cat.png", "got a value without the 'data:' prefix."),
        ("data:image/png,abc", "got a value without the ';base64' separator."),
        (data_url(b"%PDF-1.7", "application/pdf"), "got unsupported MIME type 'application/pdf'."),
        (data_url(bytes(4) + b"ftypheic", "image/heic"), "got unsupported MIME type 'image/heic'."),
        ("data:image/png;base64,", "got empty base64-encoded bytes."),
        ("data:image/png;base64,not base64", "got an invalid base64-encoded value."),
    ],
)
async def test_openai_says_what_is_wrong_with_an_address(caller, address, words):
    """
    Both APIs name the place and the fault, each with its own first words.
    """
    status, error = await refuse(caller, "openai", address)
    chat_status, chat_error = await refuse(caller, "openai-chat", address)

    assert (400, "invalid_value", "input[0].content[1].image_url") == (status, error["code"], error["param"])
    assert error["message"].startswith("Invalid 'input[0].content[1].image_url'. Expected a base64-encoded")
    assert error["message"].endswith(f", but {words}")
    assert (400, "invalid_value", "messages[0].content[1].image_url.url") == (
        chat_status,
        chat_error["code"],
        chat_error["param"],
    )
    assert chat_error["message"].startswith("Invalid image URL: 'messages[0].content[1].image_url.url'.")
    assert chat_error["message"].endswith(f", but {words}")


async def test_openai_looks_at_the_content(caller):
    """
    A page that calls itself an image is none, and a GIF is one.
    """
    page, gif = data_url(b"<html>"), data_url(GIF, "image/gif")
    status, error = await refuse(caller, "openai", page)
    chat_status, chat_error = await refuse(caller, "openai-chat", page)

    assert (400, "invalid_value", "input") == (status, error["code"], error["param"])
    assert "does not represent a valid image" in error["message"]
    assert (400, "invalid_image_format", None) == (chat_status, chat_error["code"], chat_error["param"])
    for name in ("openai", "openai-chat"):
        assert 200 == (await caller.post(DIALECTS[name].path, render(name, gif)))[0]


def answer(name, address):
    """
    The answer of a service, without the way there: these requests are large.
    """
    dialect = DIALECTS[name]
    headers = {"authorization": "Bearer sim-key"}
    request = RecordedRequest(dialect.service, "POST", dialect.path, {}, headers, render(name, address))
    return {"openai": OpenAI, "xai": XAI}[dialect.service]().answer(request)


@pytest.mark.parametrize("name", ["openai", "openai-chat"])
def test_openai_takes_50_megabytes_of_images(name):
    """
    More than that in one request is refused, and how much it was is said.
    """
    refused = answer(name, data_url(png(size=51 * 10**6)))

    assert (400, "Total image size is 51.00MB, which exceeds the allowed limit of 50MB.") == (
        refused.status,
        refused.body["error"]["message"],
    )


@pytest.mark.parametrize(
    ("address", "place", "code"),
    [
        (5, "messages[0].content[1].image_url.url", "missing_required_parameter"),
        (None, "messages[0].content[1].image_url.url", "missing_required_parameter"),
    ],
)
async def test_openai_wants_an_address_in_chat(caller, address, place, code):
    """
    An image without one is a request without a parameter.
    """
    status, error = await refuse(caller, "openai-chat", address)

    assert (400, place, code) == (status, error["param"], error["code"])


async def test_openai_wants_an_object_in_chat_and_a_string_in_responses(caller):
    """
    The two APIs spell an image's address differently, and each refuses the other's.
    """
    chat = render("openai-chat", URL)
    chat["messages"][0]["content"][1]["image_url"] = URL

    status, body = await caller.post(DIALECTS["openai-chat"].path, chat)
    other, error = await refuse(caller, "openai", {"url": URL})

    assert (400, "messages[0].content[1].image_url", "invalid_type") == (
        status,
        body["error"]["param"],
        body["error"]["code"],
    )
    assert (400, "input[0].content[1].image_url", "invalid_type") == (other, error["param"], error["code"])


@pytest.mark.parametrize("name", ["xai", "xai-chat"])
@pytest.mark.parametrize(
    ("address", "words"),
    [
        (data_url(GIF, "image/gif"), "Downloaded response does not contain a valid JPG or PNG image."),
        (data_url(GIF, "image/png"), "Downloaded response does not contain a valid JPG or PNG image."),
        ("data:image/png;base64,", "The base64 string of the provided image cannot be decoded."),
        ("data:image/png;base64,not base64", "The base64 string of the provided image cannot be decoded."),
        ("cat.png", "The base64 string of the provided image cannot be decoded."),
    ],
)
async def test_xai_takes_jpeg_and_png(caller, name, address, words):
    """
    Everything else is an invalid argument, in both APIs.
    """
    status, body = await caller.post(DIALECTS[name].path, render(name, address))

    assert (400, "Client specified an invalid argument", words) == (status, body["code"], body["error"])


@pytest.mark.parametrize("name", ["xai", "xai-chat"])
async def test_xai_takes_jpeg(caller, name):
    """
    The one type besides PNG.
    """
    assert 200 == (await caller.post(DIALECTS[name].path, render(name, data_url(JPEG))))[0]


@pytest.mark.parametrize("name", ["xai", "xai-chat"])
def test_xai_takes_20_mebibytes_an_image(name):
    """
    One of exactly the limit is taken; one byte more is refused.
    """
    taken, refused = (answer(name, data_url(png(size=LARGEST + more))) for more in (0, 1))

    assert (200, 400) == (taken.status, refused.status)
    assert (f"The provided image has {LARGEST + 1} bytes, more than the limit of {LARGEST}.") == refused.body[
        "error"
    ]


def inline(data, media_type="image/png"):
    part = {"inlineData": {"mimeType": media_type, "data": data}}
    return {"contents": [{"role": "user", "parts": [{"text": QUESTION}, part]}]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (inline(base64.b64encode(GIF).decode(), "image/gif"), "Unsupported MIME type: image/gif"),
        (inline("iVBORw0KGgo=", "png"), "Unsupported MIME type: png"),
        (
            inline("data:image/png;base64"),
            "'contents[0].parts[1].inline_data.data' (TYPE_BYTES), Base64 decoding failed for \"data:image",
        ),
        (inline(5), "Base64 decoding failed"),
        (inline(""), "Unable to process input image."),
        (inline(base64.b64encode(b"<html>").decode()), "Unable to process input image."),
        (
            {"contents": [{"parts": [{"inlineData": {"mime": "image/png"}}]}]},
            "Unknown name \"mime\" at 'contents[0].parts[0].inline_data'",
        ),
        (
            {"contents": [{"parts": [{"inline_data": {"data": "AAAA"}}]}]},
            "Unsupported MIME type: ",
        ),
        (
            {"contents": [{"parts": [{"fileData": {"mimeType": "image/png", "fileUri": "gs://cats/1"}}]}]},
            "Invalid or unsupported file uri: gs://cats/1",
        ),
        (
            {"contents": [{"parts": [{"fileData": {"mimeType": "image/gif", "fileUri": URL}}]}]},
            "Unsupported MIME type: image/gif",
        ),
    ],
)
async def test_google_refuses_what_it_cannot_read(caller, body, words):
    """
    An invalid argument, in words that name the fault.
    """
    status, answer = await caller.post(DIALECTS["gemini"].path, body)

    assert (400, "INVALID_ARGUMENT") == (status, answer["error"]["status"])
    assert words in answer["error"]["message"]


async def test_google_names_the_field_that_is_no_base64(caller):
    """
    The details say where it is.
    """
    _, answer = await caller.post(DIALECTS["gemini"].path, inline("!"))
    (violation,) = answer["error"]["details"][0]["fieldViolations"]

    assert "contents[0].parts[1].inline_data.data" == violation["field"]


async def test_google_reads_either_base64_in_either_spelling(caller, simulator):
    """
    The alphabet for URLs, without padding, under the names of the protocol buffers.
    """
    content = png(3, 2) + b"\xff\xfe\xfd\xfc"
    data = base64.urlsafe_b64encode(content).decode().rstrip("=")
    parts = [{"text": QUESTION}, {"inline_data": {"mime_type": "image/png", "data": data}}]
    assert "-" in data or "_" in data

    status, _ = await caller.post(DIALECTS["gemini"].path, {"contents": [{"parts": parts}]})

    assert (200, [SentImage("image/png", len(content))]) == (status, simulator.sent_to("gemini").images)


async def test_google_takes_documents_that_are_no_images(caller, simulator):
    """
    They count as attachments, and nobody describes them.
    """
    parts = [
        {"text": "Summarise."},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/film.mp4"}},
    ]
    answer = await caller.put(DIALECTS["gemini"], {"contents": [{"parts": parts}]})

    assert DIALECTS["gemini"].said(answer).startswith("I was sent 1 message with 2 attachments;")
    assert [] == simulator.sent_to("gemini").images


@pytest.mark.parametrize(
    "address", [URL, data_url(GIF, "image/gif"), data_url(b""), "data:image/png;base64,?", None]
)
async def test_a_local_server_fetches_nothing_and_reads_few_types(caller, address):
    """
    Whatever is wrong with an image, it says the same.
    """
    status, error = await refuse(caller, "local", address)

    assert (400, "invalid image input") == (status, error["message"])
