"""Attachments of all kinds: what a file is, where it may be, and who is sent what of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import unicodedata
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import tertulia
from tertulia import (
    AttachmentError,
    Audio,
    Capability,
    Document,
    Image,
    MediaLimits,
    ModelInfo,
    OpaqueState,
    ProviderFile,
    Text,
    TooLargeError,
    UnsupportedMediaError,
    Video,
)
from tertulia.domain.media import clean_name
from tertulia.domain.media_type import (
    detect_media_type,
    guess_media_type,
    is_among,
    is_text_type,
    normalise_media_type,
)
from tertulia.runtime.serialization import decode_parts, encode_parts
from tertulia.testing import ScriptedProvider

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
ODT = "application/vnd.oasis.opendocument.text"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
MP4 = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(8)


def pack(*names: str, compression: int = zipfile.ZIP_DEFLATED, **contents: bytes) -> bytes:
    """A ZIP archive with these entries."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compression) as file:
        for name in names:
            file.writestr(name, contents.get(name, b"<?xml version='1.0'?>"))
    return archive.getvalue()


CONTENTS = [
    ("application/pdf", PDF),
    ("application/pdf", b"\xff\x00 a mail's header\r\n%PDF-1.4"),
    ("application/rtf", rb"{\rtf1\ansi words}"),
    (DOCX, pack("[Content_Types].xml", "word/document.xml")),
    (XLSX, pack("_rels/.rels", "xl/workbook.xml", "[Content_Types].xml")),
    (PPTX, pack("ppt/presentation.xml")),
    (ODT, pack("mimetype", "content.xml", compression=zipfile.ZIP_STORED, mimetype=ODT.encode())),
    (None, pack("readme.txt")),
    (None, pack("backup/word/document.xml")),
    (None, pack("word/document.xml.bak")),
    (None, pack("inner.zip", compression=zipfile.ZIP_STORED, **{"inner.zip": b"word/document.xml"})),
    (None, pack("word/document.xml")[:40]),
    (None, pack("mimetype", compression=zipfile.ZIP_STORED, mimetype=b"text/html")),
    ("application/x-ole-storage", OLE),
    ("audio/wav", WAV),
    ("audio/mpeg", b"ID3\x03\x00" + bytes(20)),
    ("audio/mpeg", b"\xff\xfb\x90\x64" + bytes(20)),
    ("audio/mpeg", b"\xff\xf3\x40\xc0" + bytes(20)),
    (None, b"\xff\xfb\xf0\x64" + bytes(20)),
    (None, b"\xff\xeb\x90\x64" + bytes(20)),
    ("audio/flac", b"fLaC\x00\x00\x00\x22"),
    ("audio/ogg", b"OggS\x00\x02" + bytes(22) + b"\x01\x13OpusHead"),
    ("audio/aiff", b"FORM\x00\x00\x00\x2eAIFFCOMM"),
    ("audio/aac", b"\xff\xf1\x50\x80" + bytes(20)),
    ("audio/mp4", b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00"),
    ("video/mp4", MP4),
    ("video/mp4", b"\x00\x00\x00\x20ftypmp42"),
    ("video/quicktime", b"\x00\x00\x00\x14ftypqt  "),
    ("video/3gpp", b"\x00\x00\x00\x14ftyp3gp5"),
    (None, b"\x00\x00\x00\x14ftypcrx "),
    ("video/webm", b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm"),
    ("video/x-matroska", b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska"),
    ("video/x-msvideo", b"RIFF\x00\x00\x00\x00AVI LIST"),
    ("video/mpeg", b"\x00\x00\x01\xba\x44\x00"),
    ("video/x-flv", b"FLV\x01\x05"),
    ("video/x-ms-wmv", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9"),
    (None, b"RIFF\x00\x00\x00\x00ACON"),
    (None, b"\x7fELF\x02\x01\x01\x00"),
    (None, gzip.compress(b"words")),
    (None, b""),
    (None, b"\xff"),
    ("text/plain", "Où est la gare ?\r\n\t東京\n".encode()),
    ("text/plain", b"\xef\xbb\xbfwith a mark"),
    ("text/plain", b"BMW makes cars, and this is a text"),
    ("text/plain", b"ID3 tags are at the beginning"),
    ("text/plain", b"OggS and fLaC are four letters each"),
    ("text/plain", b"PK is a postal code"),
    (None, "Größe".encode("latin-1")),
    (None, "wide".encode("utf-16")),
    (None, b"a\x00b"),
    (None, b"\x1b[2J"),
]


@pytest.mark.parametrize(("media_type", "data"), CONTENTS, ids=range(len(CONTENTS)))
def test_the_content_says_what_a_file_is(media_type, data):
    """Each type by its first bytes, an office document by what is inside, and a text by having no others."""
    assert media_type == detect_media_type(data)


@pytest.mark.parametrize(
    ("media_type", "data", "name"),
    [
        ("application/pdf", PDF, "holiday.jpg"),
        ("image/png", PNG, "report.pdf"),
        ("text/plain", b"words", "film.mp4"),
        ("text/csv", b"a,b", "prices.CSV"),
        ("text/markdown", b"# a", "read.me.md"),
        ("application/json", b"{}", "a.json"),
        ("application/xml", b"<svg/>", "a.svg"),
        ("text/plain", b"words", "Makefile"),
        ("audio/mp4", MP4, "memo.m4a"),
        ("audio/webm", b"\x1aE\xdf\xa3webm", "memo.weba"),
        ("video/ogg", b"OggS\x00\x02", "film.ogv"),
        ("application/msword", OLE, "letter.doc"),
        (None, b"\x00\x01", "a.pdf"),
    ],
)
def test_a_name_decides_only_what_the_content_leaves_open(media_type, data, name):
    """A lying extension changes nothing; which kind of text it is only the extension tells."""
    assert media_type == detect_media_type(data, name)


def test_a_type_has_one_name():
    """Parameters, case and older names make no difference, and a list may name a whole class."""
    assert ["audio/mpeg", "image/jpeg", "text/plain", "model/x"] == [
        normalise_media_type(name)
        for name in ("audio/mp3", "Image/JPG", "text/plain; charset=utf-8", "model/x")
    ]
    assert is_among("audio/x-wav", {"audio/wave"})
    assert is_among("text/csv", {"image/png", "text/*"})
    assert not is_among("texture/csv", {"text/*"})
    assert [True, True, True, True, False, False] == [
        is_text_type(name)
        for name in (
            "text/x-c",
            "application/ld+json",
            "application/yaml",
            "text/xml",
            "text/rtf",
            "video/mp4",
        )
    ]


def test_an_extension_is_a_guess():
    """For an address, which nobody has looked at."""
    assert ["application/pdf", "text/markdown", None, None] == [
        guess_media_type(name) for name in ("A.PDF", "a.md", "a.unknown", "a")
    ]


@pytest.mark.parametrize(
    ("part", "data", "name"),
    [
        (Document(PDF, "application/pdf", name="menu.pdf"), PDF, "menu.pdf"),
        (Document(b"a,b\n1,2", "text/csv", name="prices.csv"), b"a,b\n1,2", "prices.csv"),
        (Audio(WAV, "audio/wav"), WAV, "memo.txt"),
        (Video(MP4, "video/mp4"), MP4, "film"),
        (Image(PNG, "image/png"), PNG, "menu.pdf"),
        (Document(b"words", "text/plain", name="invoicefdp.exe"), b"words", "invoice\u202efdp.exe"),
    ],
    ids=["pdf", "text", "sound", "film", "image", "hostile name"],
)
def test_a_file_becomes_what_it_is(tmp_path: Path, part, data, name):
    """A path is read; a document keeps its name, without its folder."""
    (tmp_path / name).write_bytes(data)

    assert part == tertulia.load_attachment(tmp_path / name)
    assert part == tertulia.load_attachment(str(tmp_path / name))


def test_bytes_become_what_they_are():
    """Bytes have no name."""
    assert [Document(PDF, "application/pdf"), Audio(WAV, "audio/wav"), Document(b"words", "text/plain")] == [
        tertulia.load_attachment(data) for data in (PDF, WAV, b"words")
    ]


@pytest.mark.parametrize(
    ("url", "part"),
    [
        (
            "https://example.com/menu.pdf?v=2",
            Document(url="https://example.com/menu.pdf?v=2", name="menu.pdf"),
        ),
        (
            "https://example.com/a%2F..%2Fb.csv",
            Document(url="https://example.com/a%2F..%2Fb.csv", name="b.csv"),
        ),
        ("http://example.com/memo.mp3", Audio(url="http://example.com/memo.mp3")),
        ("https://example.com/film.MP4#t=3", Video(url="https://example.com/film.MP4#t=3")),
        ("https://example.com/cat.png", Image(url="https://example.com/cat.png")),
        ("https://example.com/cat", Image(url="https://example.com/cat")),
        ("https://example.com", Image(url="https://example.com")),
    ],
)
def test_an_address_is_what_its_extension_says(url, part):
    """It is not fetched; one that says nothing is an image, as images need the least words."""
    assert part == tertulia.load_attachment(url)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("data:application/pdf;base64,JVBERi0xLjc=", Document(b"%PDF-1.7", "application/pdf")),
        ("data:text/csv;charset=utf-8,a%2Cb", Document(b"a,b", "text/csv")),
        ("data:,words", Document(b"words", "text/plain")),
        ("data:image/png,words", Document(b"words", "text/plain")),
    ],
)
def test_a_data_url_is_its_bytes(url, part):
    """Its own type is believed only where no content could tell: between kinds of text."""
    assert part == tertulia.load_attachment(url)


def test_what_is_attached_already_keeps_what_it_says():
    """A type that is given stays, one that is not is found, and a name loses its folder."""
    file = ProviderFile("openai", "file-1")

    assert Document(file=file) == tertulia.load_attachment(file)
    assert Video(file=file) == tertulia.load_attachment(Video(file=file))
    assert Document(b"\x00", "model/x", name="b") == tertulia.load_attachment(
        Document(b"\x00", "model/x", name="../a/b")
    )
    assert Document(b"a,b", "text/csv", name="p.csv") == tertulia.load_attachment(
        Document(b"a,b", name="p.csv")
    )
    assert Document(url="https://example.com/x") == tertulia.load_attachment(
        Document(url="https://example.com/x", name="..")
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Audio(PDF), "audio is application/pdf, so it is no audio; attach it as tertulia.Document"),
        (Document(WAV), "document is audio/wav, so it is no document; attach it as tertulia.Audio"),
        (Video(b"\x00\x01"), "video is of no known type, and no UTF-8 text; say what it is: tertulia.Image"),
        (Video(b""), "video is empty"),
        (
            Audio(url="ftp://example.com/a.mp3"),
            "is no address that can be attached; give a path, or an address that begins with https://",
        ),
        ("file:///etc/passwd", "'file:///etc/passwd' is no address that can be attached; give a path, or an"),
        (Document(url="//127.0.0.1/x"), "'//127.0.0.1/x' is no address that can be attached"),
        (3, "an int cannot be attached"),
        ("https://[/a.pdf", "'https://[/a.pdf' is no address"),
        (
            "https://me:secret@example.com/a.pdf?key=secret",
            "'https://example.com/a.pdf' has a user or a password",
        ),
        ("data:application/pdf;base64,AAEC", "data URL is of no known type"),
        ("data:,", "data URL is empty"),
        ("https:///" + "a" * 300, "'https:///" + "a" * 191 + "…' is no address"),
    ],
)
def test_what_cannot_be_attached_is_named(source, words):
    """The error says what it is, and what to do; no signature or password of an address is in it."""
    with pytest.raises(AttachmentError) as caught:
        tertulia.load_attachment(source)

    assert words in str(caught.value)
    assert "secret" not in f"{caught.value}{caught.value.source}"


@pytest.mark.parametrize("kind", [Image, Document, Audio, Video])
def test_what_is_nowhere_is_no_attachment(kind):
    """A part has one source: bytes, an address or an uploaded file."""
    for sources in ({}, {"data": PDF, "url": "https://example.com/a"}):
        with pytest.raises(AttachmentError) as caught:
            kind(**sources)
        assert f"{kind.__name__} has exactly one of data, url and file" == caught.value.message


def test_a_text_of_another_encoding_is_told_to_be_saved_again(tmp_path):
    """A table of an old program is a text all the same, and there is a way to attach it."""
    (tmp_path / "prices.csv").write_bytes("café;2,50 €".encode("cp1252"))
    (tmp_path / "notes.bin").write_bytes("café;2,50 €".encode("cp1252"))

    for name, next_step in (("prices.csv", "save it as UTF-8"), ("notes.bin", "say what it is: ")):
        with pytest.raises(AttachmentError, match="is of no known type, and no UTF-8 text") as caught:
            tertulia.load_attachment(tmp_path / name)
        assert caught.value.next_step.startswith(next_step)


NAMES = [
    ("report.pdf", "report.pdf"),
    ("/etc/shadow", "shadow"),
    ("C:\\Users\\x", "x"),
    ("a/../../b", "b"),
    ("..", None),
    ("", None),
    (" . ", None),
    ("x\0.png", "x.png"),
    ("a\nb\t c.txt", "a b c.txt"),
    ("invoice\u202efdp.exe", "invoicefdp.exe"),
    ("zero\u200bwidth\ufeff.md", "zerowidth.md"),
    ("\ud800.txt", "txt"),
    ("été 東京.pdf", "été 東京.pdf"),
    ("a" * 300 + ".png", "a" * 96 + ".png"),
    ("a" * 300, "a" * 100),
    ("a." + "b" * 300, "a." + "b" * 98),
    ("%2e%2e%2fetc%2fpasswd", "%2e%2e%2fetc%2fpasswd"),
]


@pytest.mark.parametrize(("name", "cleaned"), NAMES)
def test_a_name_is_safe_to_show_and_to_send(name, cleaned):
    """No folder, nothing that cannot be seen or turns the text around, and not too long."""
    assert cleaned == clean_name(name)


@pytest.mark.skipif("TERTULIA_TEST_DATA" not in os.environ, reason="needs TERTULIA_TEST_DATA")
def test_no_recorded_name_gets_out_of_its_folder():
    """Every hostile name of the collection is harmless, or gone."""
    cases = json.loads((Path(os.environ["TERTULIA_TEST_DATA"]) / "security_cases.json").read_text())
    names = [case["name"] for case in cases["attachment_names"]]

    cleaned = [clean_name(name) for name in names]

    assert len(names) >= 8
    for name in filter(None, cleaned):
        assert (name, True) == (Path(name).name, name not in (".", "..") and len(name) <= 100)
        assert not {"Cc", "Cf"} & set(map(unicodedata.category, name))


PARTS = [
    Document(PDF, "application/pdf", name="menu.pdf"),
    Document(b"", "text/plain"),
    Document(url="https://example.com/a.pdf", name="a.pdf"),
    Document(file=ProviderFile("openai", "file-1"), opaque=OpaqueState("openai", {"data": "aGVsbG8="})),
    Audio(WAV, "audio/wav"),
    Audio(url="https://example.com/a.mp3", media_type="audio/mpeg"),
    Video(MP4, "video/mp4"),
    Video(file=ProviderFile("gemini", "https://example.com/v1/files/x"), media_type="video/mp4"),
    Image(file=ProviderFile("xai", "file-2"), detail="low"),
    Text('[{"data": {"sha256": "x"}, "type": "document"}]'),
]


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_each_kind_survives_neutral_json(part):
    """Written into JSON or beside it, an attachment of any kind comes back equal."""
    kept: dict[str, bytes] = {}

    def keep(data: bytes, media_type: str | None) -> str:
        kept["name"] = data
        return "name"

    assert (part,) == decode_parts(encode_parts((part,)))
    assert (part,) == decode_parts(encode_parts((part,), keep), kept.__getitem__)
    assert [getattr(part, "data", None)] * len(kept) == list(kept.values())


class Reader(ScriptedProvider):
    """Takes everything, each in a way of its own."""

    MODELS = ()
    IMAGES = MediaLimits(frozenset({"image/png"}), urls=True, files=True)
    DOCUMENTS = MediaLimits(frozenset({"application/pdf", "text/markdown"}), max_bytes=50, max_total_bytes=60)
    AUDIO = MediaLimits(frozenset({"audio/wave"}), urls=True)
    VIDEO = MediaLimits(frozenset({"video/*"}), data=False, urls=True, files=True)


class Talker(ScriptedProvider):
    """Takes words."""

    MODELS = ()


@pytest.fixture
def reader() -> Reader:
    return Reader("reader")


@pytest.fixture
def talker() -> Talker:
    return Talker("talker")


@pytest.fixture
async def client(reader, talker, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(store=database, providers={}, plugins=[reader, talker], environ={}) as client:
        yield client


OWN = ProviderFile("reader", "file-1")


@pytest.mark.parametrize(
    "part",
    [
        Document(PDF, "application/pdf", name="menu.pdf"),
        Audio(WAV, "audio/wav"),
        Audio(url="https://example.com/a.wav"),
        Video(url="https://example.com/a.mp4"),
        Video(file=OWN),
        Image(file=OWN),
    ],
    ids=str,
)
async def test_what_a_provider_takes_is_sent_and_kept(client, reader, part, database):
    """Each kind in each place it may be, unchanged; and it outlives the client."""
    reader.says("I see.")
    conversation = await client.start(provider="reader")

    reply = await conversation.send("What is this?", attach=part)

    assert ((part, Text("What is this?")), ()) == (reader.requests[0].messages[-1].parts, reply.warnings)
    async with tertulia.open(store=database, providers={}, plugins=[], environ={}) as other:
        history = await (await other.get(conversation.id)).history()
    assert (part, Text("What is this?")) == history[0].parts


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Document(b"\x00", "model/x"), "takes application/pdf, text/markdown, and not model/x"),
        (
            Document(url="https://example.com/a.pdf"),
            "takes documents only as bytes, so nothing was sent; your message is ",
        ),
        (Document(file=OWN), "takes no uploaded documents, so nothing was sent"),
        (Image(file=ProviderFile("xai", "f")), "file f at xai cannot be read by reader/scripted-1"),
        (Video(MP4, "video/mp4"), "takes films only from an address or uploaded before"),
        (
            Audio(url="https://example.com/a.mp3", media_type="audio/mpeg"),
            "takes audio/wave, and not audio/mpeg",
        ),
        (Document(b"\xff", "text/plain"), "takes application/pdf, text/markdown, and not text/plain"),
    ],
    ids=str,
)
async def test_what_a_provider_does_not_take_is_not_sent(client, reader, part, words):
    """The error says in which way it takes such things, and what to do instead."""
    conversation = await client.start(provider="reader")

    with pytest.raises(UnsupportedMediaError) as caught:
        await conversation.send("What is this?", attach=part)

    assert words in str(caught.value)
    assert (False, "reader", "attach", part.media_type, []) == (
        caught.value.sent,
        caught.value.provider,
        caught.value.parameter,
        caught.value.media_type,
        reader.requests,
    )
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            [Document(PDF + bytes(40), "application/pdf")],
            r"\[application/pdf, 55 bytes\] is more than the 50",
        ),
        (
            [Audio(WAV + bytes(40), "audio/wav"), Document(PDF, "application/pdf")],
            "attachments of 71 bytes together is more than the 60 bytes",
        ),
    ],
    ids=["one", "together"],
)
async def test_what_is_too_large_is_not_sent(client, reader, parts, words):
    """The limit of one, and that of everything in a request, whatever kind it is of."""
    with pytest.raises(TooLargeError, match=words) as caught:
        await client.ask("What is this?", provider="reader", attach=parts)

    assert (False, "request", []) == (caught.value.sent, caught.value.side, reader.requests)


async def test_a_text_is_sent_as_words_where_no_document_is_taken(client, talker):
    """Nothing of it is lost, its name goes along, and the reply says so."""
    talker.says("2 each.")
    prices = Document(b"\xef\xbb\xbfa,b\n2,2", "text/csv", name='"my" prices.csv')

    reply = await client.ask("What does it cost?", provider="talker", attach=prices)

    assert (
        Text('<document name="\'my\' prices.csv" type="text/csv">\na,b\n2,2\n</document>\n'),
        Text("What does it cost?"),
    ) == talker.requests[0].messages[-1].parts
    why = "talker/scripted-1 does not take it as a file"
    assert (f'[text/csv "my" prices.csv, 10 bytes] was sent as words: {why}',) == reply.warnings


async def test_a_text_of_another_type_is_sent_as_words(client, reader):
    """Where a provider takes some documents, the other texts are words, and those stay documents."""
    reader.says("Thanks.")
    notes = Document(b"# a", "text/markdown", name="a.md")

    await client.ask("?", provider="reader", attach=[Document(b"{}", "application/json"), notes])

    assert (
        Text('<document name="document" type="application/json">\n{}\n</document>\n'),
        notes,
        Text("?"),
    ) == reader.requests[0].messages[-1].parts


async def test_further_back_each_kind_becomes_a_note(client, reader, talker):
    """After a switch to somebody who takes none of it, the words of texts stay, and the reply says all."""
    reader.says("I see.").says("Again.")
    talker.says("I was told.")
    attached = [
        Document(PDF, "application/pdf", name="menu.pdf"),
        Document(b"# a", "text/markdown", name="a.md"),
        Audio(WAV, "audio/wav"),
        Video(url="https://example.com/a.mp4?signature=secret"),
        Image(file=OWN),
    ]
    conversation = await client.start(provider="reader")
    await conversation.send("What is this?", attach=attached)
    await conversation.switch("talker")

    reply = await conversation.send("And now?")

    assert (
        Text("[application/pdf menu.pdf, 15 bytes] which you cannot see"),
        Text('<document name="a.md" type="text/markdown">\n# a\n</document>\n'),
        Text("[audio/wav, 16 bytes] which you cannot see"),
        Text("[video at https://example.com/a.mp4] which you cannot see"),
        Text("[image, file file-1 at reader] which you cannot see"),
        Text("What is this?"),
    ) == talker.requests[0].messages[0].parts
    assert (
        "[application/pdf menu.pdf, 15 bytes] was replaced by a note: talker/scripted-1 takes no documents",
        "[text/markdown a.md, 3 bytes] was sent as words: talker/scripted-1 does not take it as a file",
        "[audio/wav, 16 bytes] was replaced by a note: talker/scripted-1 takes no sound",
        "[video at https://example.com/a.mp4] was replaced by a note: talker/scripted-1 takes no films",
        "[image, file file-1 at reader] was replaced by a note: talker/scripted-1 takes no images",
    ) == reply.warnings
    await conversation.switch("reader")
    await conversation.send("And again?")
    assert tuple(attached) == reader.requests[1].messages[0].parts[:5]


@pytest.mark.parametrize(
    ("part", "capability"),
    [
        (Image(PNG, "image/png"), Capability.VISION),
        (Document(PDF, "application/pdf"), Capability.DOCUMENTS),
        (Audio(WAV, "audio/wav"), Capability.AUDIO),
        (Video(url="https://example.com/a.mp4"), Capability.VIDEO),
    ],
    ids=str,
)
async def test_a_model_takes_the_kinds_it_can_read(client, part, capability):
    """A provider may take a kind, and one of its models none of it."""

    class Choosy(Reader):
        MODELS = (
            ModelInfo("choosy", "none", capabilities=frozenset(Capability) - {capability}),
            ModelInfo("choosy", "only", capabilities=frozenset({capability})),
        )

    choosy = Choosy("choosy").says("I see.")
    client.register(choosy)

    with pytest.raises(UnsupportedMediaError, match="choosy/none takes no"):
        await client.ask("?", provider="choosy", model="none", attach=part)
    await client.ask("?", provider="choosy", model="only", attach=part)

    assert ["only"] == [request.target.model for request in choosy.requests]


async def test_a_picture_that_a_model_drew_is_fitted_too(client, reader, talker):
    """What is in an answer is sent to the next provider by the same rules."""
    drawn = tertulia.ProviderReply(
        (Text("Here:"), Image(PNG, "image/png")), tertulia.FinishReason.STOP, "stop", tertulia.Usage()
    )
    reader.replies(drawn, "Here:")
    talker.says("Thanks.")
    conversation = await client.start(provider="reader")
    await conversation.send("Draw a dot.")
    await conversation.switch("talker")

    await conversation.send("Thanks.")

    assert (Text("Here:"), Text("[image/png, 16 bytes] which you cannot see")) == (
        talker.requests[0].messages[1].parts
    )


async def test_a_picture_of_no_known_type_is_not_sent(client, reader, talker):
    """A driver may not know what it was given; whoever is asked next is told that there was something."""
    drawn = tertulia.ProviderReply(
        (Text("Here:"), Image(b"?")), tertulia.FinishReason.STOP, "stop", tertulia.Usage()
    )
    talker.replies(drawn, "Here:")
    reader.says("Thanks.")
    conversation = await client.start(provider="talker")
    await conversation.send("Draw a dot.")
    await conversation.switch("reader")

    reply = await conversation.send("Thanks.")

    why = "nobody knows of what type [image, 1 bytes] is"
    assert (f"[image, 1 bytes] was replaced by a note: {why}",) == reply.warnings


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_the_document_comes_along_to_the_next_provider(database, simulator, api):
    """Through each dialect the service receives the bytes, and after a switch the next one does."""
    async with tertulia.open(store=database, providers=simulator.providers(api=api), environ={}) as client:
        conversation = await client.start(provider="openai")
        await conversation.send("What does it say?", attach=Document(PDF, name="menu.pdf"))
        await conversation.switch("gemini")
        await conversation.send("Thanks.")
        await conversation.switch("xai")
        reply = await conversation.send("Thanks.")

    assert [[("application/pdf", len(PDF))], [("application/pdf", len(PDF))], []] == [
        [(each.media_type, each.size) for each in simulator.sent_to(provider).documents]
        for provider in ("openai", "gemini", "xai")
    ]
    assert "[application/pdf menu.pdf, 15 bytes] was replaced by a note: xai/" in reply.warnings[0]
