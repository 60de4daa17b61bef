"""Images: attached, kept, sent on to the next provider, and refused in clear words."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import tertulia
from tertulia import (
    AttachmentError,
    Image,
    MediaLimits,
    MessageStatus,
    Text,
    TooLargeError,
    UnsupportedMediaError,
)
from tertulia.runtime import attachments
from tertulia.testing import ScriptedProvider

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
GIF = b"GIF89a" + bytes(20)
HEADS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0" + bytes(20),
    "image/gif": GIF,
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "image/heic": b"\x00\x00\x00\x18ftypheic",
    "image/heif": b"\x00\x00\x00\x18ftypmif1",
    "image/avif": b"\x00\x00\x00\x18ftypavif",
    "image/bmp": b"BM" + bytes(20),
    "image/tiff": b"II*\x00" + bytes(20),
}


class Seeing(ScriptedProvider):
    IMAGES = MediaLimits(frozenset({"image/png"}), max_bytes=100, max_total_bytes=180, urls=True)
    MODELS = ()


class Blind(ScriptedProvider):
    MODELS = ()


@pytest.fixture
def seeing() -> Seeing:
    return Seeing("seeing")


@pytest.fixture
def blind() -> Blind:
    return Blind("blind")


@pytest.fixture
async def client(seeing, blind, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(store=database, providers={}, plugins=[seeing, blind], environ={}) as client:
        yield client


@pytest.mark.parametrize(("media_type", "data"), HEADS.items())
def test_a_type_is_told_from_the_content(tmp_path: Path, media_type: str, data: bytes):
    """Whatever a file is called, it is what its first bytes say."""
    path = tmp_path / "picture.txt"
    path.write_bytes(data)

    assert Image(data, media_type) == tertulia.load_image(path) == tertulia.load_image(str(path))
    assert Image(data, media_type) == tertulia.load_image(data)


def test_an_address_is_not_fetched():
    """An address stays an address, and a data URL is its bytes."""
    url = "https://example.com/cat.png"

    assert Image(url=url) == tertulia.load_image(url)
    assert Image(PNG, "image/png") == tertulia.load_image(
        "data:image/png;base64," + base64.b64encode(PNG).decode()
    )


def test_an_image_does_not_show_its_bytes():
    """What is printed or logged of an image is its size."""
    assert (
        "Image(data=70 bytes, media_type='image/png', url=None, file=None, detail=None, opaque=None)"
        == repr(Image(PNG, "image/png"))
    )
    assert ("[image/png, 70 bytes]", "[image at https://example.com/cat]") == (
        str(Image(PNG, "image/png")),
        str(Image(url="https://example.com/cat")),
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.png", "nowhere.png cannot be read: No such file or directory"),
        (".", ". cannot be read: Is a directory"),
        (b"", "bytes is empty"),
        (Image(b"", "image/png"), "image is empty"),
        (bytearray(PNG), "a bytearray cannot be attached"),
        (None, "a NoneType cannot be attached"),
        (b"\x00\x01\x02", "bytes is of no known type, and no UTF-8 text"),
        (Image(b"%PDF-1.7"), "image is application/pdf, so it is no image"),
        ("data:image/png;base64,@@@", "a data URL cannot be read"),
        ("data:image/png", "a data URL cannot be read: it has no comma"),
        ("https://", "'https://' is no address that can be attached"),
        (Image(url="file:///etc/passwd"), "'file:///etc/passwd' is no address that can be attached"),
        ("https://me:pw@example.com/a.png", "'https://example.com/a.png' has a user or a password in it"),
        ("https://[", "'https://[' is no address"),
        ("a\0b", "cannot be read"),
    ],
    ids=[
        "missing",
        "folder",
        "empty",
        "empty image",
        "bytearray",
        "none",
        "unknown",
        "no picture",
        "not base64",
        "no comma",
        "no host",
        "file",
        "password",
        "no address",
        "zero byte",
    ],
)
@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "listed"])
async def test_what_cannot_be_attached_is_refused_before_anything_is_stored(
    client, seeing, source, words, is_alone
):
    """The error names the file and what is wrong with it; nothing was stored or sent."""
    conversation = await client.start(provider="seeing")

    with pytest.raises(AttachmentError) as caught:
        await conversation.send("What is this?", attach=source if is_alone else [source])

    assert words in str(caught.value)
    assert "nothing was stored, and nothing was sent" == caught.value.kept
    assert ([], []) == (await conversation.history(), seeing.requests)


def test_a_file_that_nobody_takes_is_not_read(tmp_path: Path):
    """More than 100 MiB is refused by its size, which the error names."""
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(100 * 2**20 + 1)

    with pytest.raises(
        AttachmentError, match="has 104,857,601 bytes, and no service takes more than 104,857,600"
    ):
        tertulia.load_image(path)


async def test_a_pipe_is_not_waited_for(client, seeing, tmp_path: Path):
    """Nobody may ever write into a pipe, so it is not opened."""
    os.mkfifo(tmp_path / "pipe.png")
    conversation = await client.start(provider="seeing")

    with pytest.raises(AttachmentError, match=r"pipe\.png is not a file"):
        await asyncio.wait_for(conversation.send("What is this?", attach=tmp_path / "pipe.png"), 5)


def test_what_an_image_says_of_itself_stays():
    """An image without a type gets one, and keeps how closely it is to be looked at."""
    assert Image(PNG, "image/png", detail="low") == tertulia.load_image(Image(PNG, detail="low"))
    assert Image(PNG, "image/x-mine") == tertulia.load_image(Image(PNG, "image/x-mine"))


@pytest.mark.parametrize("source", [b"%PDF-1.7", "data:,words", "https://example.com/a.pdf"])
def test_what_is_asked_for_as_an_image_is_one(source):
    """Whatever else could be attached is refused where an image is wanted."""
    with pytest.raises(AttachmentError, match="is not an image; load_attachment"):
        tertulia.load_image(source)


def test_an_uploaded_file_may_be_an_image():
    """Nobody can look into it, so it is what it is asked for as."""
    file = tertulia.ProviderFile("openai", "file-1")

    assert Image(file=file) == tertulia.load_image(file)


def test_a_path_may_be_of_bytes(tmp_path: Path):
    """Whatever names a file for the system names it here."""
    (tmp_path / "a.png").write_bytes(PNG)
    (entry,) = os.scandir(os.fsencode(tmp_path))

    assert Image(PNG, "image/png") == tertulia.load_image(entry)


def test_bytes_that_nobody_takes_are_not_attached(monkeypatch):
    """The limit of a file is that of bytes, and of an image somebody made of them."""
    monkeypatch.setattr(attachments, "LARGEST", 69)

    for source in (PNG, Image(PNG, "image/png")):
        with pytest.raises(AttachmentError, match="has 70 bytes, and no service takes more than 69"):
            tertulia.load_image(source)


async def test_a_device_is_not_read(client, seeing):
    """A device has no end, so it is not read at all."""
    conversation = await client.start(provider="seeing")

    with pytest.raises(AttachmentError, match="/dev/zero is not a file"):
        await conversation.send("What is this?", attach="/dev/zero")


async def test_an_image_is_sent_and_kept(client, seeing, database):
    """It comes before the words, goes along with every later request, and outlives the client."""
    seeing.says("A dot.").says("Red.")
    conversation = await client.start(provider="seeing")

    await conversation.send("What is this?", attach=PNG)
    await conversation.send("Which colour?")

    first = (Image(PNG, "image/png"), Text("What is this?"))
    assert first == seeing.requests[0].messages[-1].parts
    assert first == seeing.requests[1].messages[0].parts
    async with tertulia.open(store=database, providers={}, plugins=[], environ={}) as other:
        history = await (await other.get(conversation.id)).history()
    assert first == history[0].parts
    assert "What is this?" == history[0].text


async def test_an_image_needs_no_words(client, seeing):
    """A message may be nothing but an image."""
    seeing.says("A dot.")

    await client.ask("", provider="seeing", attach=[PNG])

    assert (Image(PNG, "image/png"),) == seeing.requests[0].messages[-1].parts


@pytest.mark.parametrize(
    ("provider", "attached", "kind", "words"),
    [
        ("blind", PNG, UnsupportedMediaError, "blind/scripted-1 takes no images"),
        ("seeing", GIF, UnsupportedMediaError, "takes image/png, and not image/gif"),
        ("seeing", PNG + bytes(100), TooLargeError, "170 bytes. is more than the 100 bytes"),
        ("seeing", [PNG] * 3, TooLargeError, "attachments of 210 bytes together is more than the 180"),
    ],
    ids=["no images", "not this type", "too large", "too large together"],
)
async def test_what_a_provider_does_not_take_is_not_sent_to_it(client, provider, attached, kind, words):
    """The error says what it takes; the message is kept, and asking cost nothing."""
    conversation = await client.start(provider=provider)

    with pytest.raises(kind, match=words) as caught:
        await conversation.send("What is this?", attach=attached)

    assert (False, "your message is stored") == (caught.value.sent, caught.value.kept)
    assert [MessageStatus.FAILED] == [message.status for message in await conversation.history()]
    (attempt,) = await conversation.attempts()
    assert 0 == attempt.cost.money.pico


async def test_another_provider_is_asked_about_what_one_does_not_see(client, blind, seeing):
    """An image that one target does not take falls back to one that does."""
    seeing.says("A dot.")
    conversation = await client.start(provider="blind")

    reply = await conversation.send("What is this?", attach=PNG, fallback=["seeing"])

    assert ("seeing", "A dot.", []) == (reply.provider, reply.text, blind.requests)


async def test_an_address_is_not_sent_where_nobody_fetches_it(client):
    """A provider that fetches no addresses gets none."""

    class Homely(ScriptedProvider):
        IMAGES = MediaLimits(frozenset({"image/png"}))
        MODELS = ()

    homely = Homely("homely")
    client.register(homely)

    with pytest.raises(UnsupportedMediaError, match="homely/scripted-1 takes images only as bytes"):
        await client.ask("What is this?", provider="homely", attach="https://example.com/cat.png")

    assert [] == homely.requests


async def test_a_model_that_cannot_see_gets_no_image(client):
    """A provider may take images, and one of its models none."""

    class Half(Seeing):
        MODELS = (
            tertulia.ModelInfo("half", "scripted-1", capabilities=frozenset({tertulia.Capability.STREAMING})),
        )

    half = Half("half")
    client.register(half)

    with pytest.raises(UnsupportedMediaError, match="half/scripted-1 takes no images"):
        await client.ask("What is this?", provider="half", attach=PNG)

    assert [] == half.requests


async def test_another_provider_is_asked_about_what_is_too_large_for_one(client, seeing):
    """An image beyond one target's limit goes to the next one's, unless that has the same limit."""

    class Roomy(Seeing):
        IMAGES = MediaLimits(frozenset({"image/png"}), max_bytes=1000)

    client.register(Roomy("roomy").says("A dot."))
    conversation = await client.start(provider="seeing")

    reply = await conversation.send("What is this?", attach=PNG + bytes(100), fallback=["roomy"])

    assert ("roomy", [], 0) == (reply.provider, seeing.requests, reply.attempts[0].cost.money.pico)


async def test_earlier_images_become_a_note_where_they_cannot_be_seen(client, blind, seeing):
    """After a switch to a provider without images the conversation goes on, and the reply says so."""
    seeing.says("A dot.").says("A dot, red.")
    blind.says("I was told of a dot.")
    conversation = await client.start(provider="seeing")
    await conversation.send("What is this?", attach=PNG)
    await conversation.switch("blind")

    reply = await conversation.send("And now?")

    note = "[image/png, 70 bytes] which you cannot see"
    assert (Text(note), Text("What is this?")) == blind.requests[0].messages[0].parts
    assert (
        "[image/png, 70 bytes] was replaced by a note: blind/scripted-1 takes no images",
    ) == reply.warnings
    await conversation.switch("seeing")
    await conversation.send("Which colour?")
    assert Image(PNG, "image/png") == seeing.requests[1].messages[0].parts[0]


async def test_an_image_that_was_stored_long_ago_becomes_a_note_too(client, blind, seeing, database):
    """A client that opens the conversation later knows that there are images in it."""
    seeing.says("A dot.")
    blind.says("I was told of a dot.")
    conversation = await client.start(provider="seeing")
    await conversation.send("What is this?", attach=PNG)

    async with tertulia.open(store=database, providers={}, plugins=[seeing, blind], environ={}) as other:
        again = await other.get(conversation.id)
        await again.switch("blind")
        await again.send("And now?")

    assert Text("[image/png, 70 bytes] which you cannot see") == blind.requests[0].messages[0].parts[0]


async def test_the_earliest_images_make_room(client, seeing):
    """When all images together are too many, the newest are sent."""
    seeing.says("1").says("2").says("3")
    conversation = await client.start(provider="seeing")
    for number in (1, 2):
        await conversation.send(f"Picture {number}", attach=PNG)

    reply = await conversation.send("Picture 3", attach=PNG)

    shown = [isinstance(message.parts[0], Image) for message in seeing.requests[2].messages[::2]]
    assert ([False, True, True], 1) == (shown, len(reply.warnings))


async def test_an_address_goes_where_it_is_fetched(client, seeing):
    """An address is sent as it is to a provider that fetches it."""
    seeing.says("A cat.")

    await client.ask("What is this?", provider="seeing", attach="https://example.com/cat.png")

    assert Image(url="https://example.com/cat.png") == seeing.requests[0].messages[-1].parts[0]


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("provider", ["openai", "gemini", "xai"])
async def test_each_service_gets_the_image(database, simulator, provider, api):
    """Through every dialect the service receives the bytes and their type, also in a later turn."""
    async with tertulia.open(store=database, providers=simulator.providers(api=api), environ={}) as client:
        conversation = await client.start(provider=provider)
        first = await conversation.send("What is in this picture?", attach=PNG)
        second = await conversation.send("What is in this picture?")

    said = "I see a PNG image of 70 bytes, 1 × 1 pixels."  # noqa: RUF001
    assert [said, said] == [first.text, second.text]
    assert [("image/png", 70)] == [
        (each.media_type, each.size) for each in simulator.sent_to(provider).images
    ]


async def test_the_image_comes_along_to_the_next_provider(client, database, simulator):
    """What was shown to one provider is shown to the one that goes on."""
    async with tertulia.open(store=database, providers=simulator.providers(), environ={}) as client:
        conversation = await client.start(provider="gemini")
        await conversation.send("What is in this picture?", attach=PNG)
        await conversation.switch("xai")
        await conversation.send("Thanks.")

    assert [("image/png", 70)] == [(each.media_type, each.size) for each in simulator.sent_to("xai").images]
