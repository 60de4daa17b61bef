"""Sizes read from headers, of files that are right, cut off or something else."""

from __future__ import annotations

import struct

import pytest

from tertulia import measure_image
from tertulia.domain.measuring import count_pages, measure_seconds

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480)
GIF = b"GIF87a" + struct.pack("<HH", 640, 480)
FRAME = b"\xff\xc2\0\x11\x08" + struct.pack(">HH", 480, 640)
JPEG = b"\xff\xd8" + b"\xff\xe0\0\x10" + b"JFIF" + b"\0" * 10 + b"\xff" + b"\xff\xc4\0\x04\0\0" + FRAME
LOSSY = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 640, 480)
LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L" + b"\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14)
EXTENDED = b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + b"\x7f\x02\0" + b"\xdf\x01\0"

WAV = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0" + struct.pack("<II", 1, 1_000) + b"\0" * (12 + 2_500)
FLAC = b"fLaC" + b"\0" * 14 + struct.pack(">Q", 44_100 << 44 | 110_250)
MP4 = b"\0\0\0\x18ftypisom" + b"\0" * 20 + b"mvhd" + b"\0" * 12 + struct.pack(">II", 1_000, 2_500)
LONG_MP4 = b"\0\0\0\x18ftypmp42" + b"mvhd\x01" + b"\0" * 19 + struct.pack(">IQ", 600, 1_500)
MP3 = b"\xff\xfb\x90\x00" + b"\0" * (40_000 - 4)
TAGGED_MP3 = b"ID3\x04\0\0\0\0\x01\x00" + b"\0" * 128 + MP3
HALF_RATE_MP3 = b"\xff\xf3\x80\x00" + b"\0" * (20_000 - 4)

IMAGES = {
    "PNG": PNG,
    "GIF": GIF,
    "JPEG": JPEG,
    "lossy WebP": LOSSY,
    "lossless WebP": LOSSLESS,
    "extended WebP": EXTENDED,
}
SOUNDS = {
    "WAV": WAV,
    "FLAC": FLAC,
    "MP4": MP4,
    "long MP4": LONG_MP4,
    "MP3": MP3,
    "tagged MP3": TAGGED_MP3,
    "MP3 of half the rate": HALF_RATE_MP3,
}


@pytest.mark.parametrize("kind", IMAGES)
def test_the_size_of_an_image_is_in_its_header(kind):
    """
    Across and down, in pixels.
    """
    assert (640, 480) == measure_image(IMAGES[kind])


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_that_is_cut_off_has_no_size(kind):
    """
    However little of a header is there, nothing is raised and nothing is made up.
    """
    whole = IMAGES[kind]
    found = {measure_image(whole[:length]) for length in range(len(whole))}

    assert found <= {None, (640, 480)}
    assert measure_image(whole[:-3]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM",
        b"<svg/>",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8" + b"\xff" * 3_000,
        b"GIF89a\0\0\0\0",
        b"RIFF\0\0\0\0WEBPVP9 " + b"\0" * 30,
    ],
)
def test_what_is_no_image_has_no_size(data):
    """
    Other files, and images of nothing.
    """
    assert measure_image(data) is None


@pytest.mark.parametrize("kind", SOUNDS)
def test_the_length_of_a_sound_is_in_its_header(kind):
    """
    Two seconds and a half.
    """
    assert 2.5 == pytest.approx(measure_seconds(SOUNDS[kind]), abs=0.05)


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_sound_that_is_cut_off_has_no_length(kind):
    """
    Of a header that is not whole nothing is raised.
    """
    assert measure_seconds(SOUNDS[kind][:3]) is None
    for length in range(40):
        measure_seconds(SOUNDS[kind][:length])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"OggS" + b"\0" * 50,
        b"RIFF\0\0\0\0WAVE" + b"\0" * 50,
        b"RIFF\0\0\0\0WAVEfmt " + b"\0" * 50,
        b"fLaC" + b"\0" * 50,
        b"\0\0\0\x18ftypisom" + b"\0" * 50,
        b"\0\0\0\x18ftypisom" + b"mvhd" + b"\0" * 50,
        b"\xff\xfb\x00\x00" + b"\0" * 50,
        b"ID3",
    ],
)
def test_what_does_not_tell_its_length_has_none(data):
    """
    Other files, and headers that say nothing.
    """
    assert measure_seconds(data) is None


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (b"%PDF-1.7 << /Type /Pages /Kids [] /Count 12 >>", 12),
        (b"%PDF-1.7 << /Count 12 /Type /Pages >>", 12),
        (b"%PDF-1.7 << /Type/Page >> << /Type/Page >>", 2),
        (b"%PDF-1.7 << /Type /Pages /Count 1 >> /Type /Page /Type /Page", 2),
        (b"%PDF-1.7 << /Type /Pages /Count 0 >>", None),
        (b"%PDF-1.7 compressed", None),
        (b"/Type /Page", None),
        (b"", None),
    ],
)
def test_the_pages_of_a_document_are_counted(data, pages):
    """
    By what its page tree says, or by the pages themselves; None where it keeps them compressed.
    """
    assert pages == count_pages(data)


@pytest.mark.parametrize(
    "data",
    [
        PNG[:16] + struct.pack(">II", 2**32 - 1, 1),
        PNG[:16] + struct.pack(">II", 640, 65_536),
    ],
)
def test_a_picture_of_billions_of_pixels_is_not_believed(data):
    """
    A few bytes that say so would be a prompt of millions of tokens.
    """
    assert measure_image(data) is None


@pytest.mark.parametrize(
    "data",
    [
        FLAC[:18] + struct.pack(">Q", 1 << 44 | 2**36 - 1),
        MP4[:-8] + struct.pack(">II", 1, 2**32 - 1),
        LONG_MP4[:-12] + struct.pack(">IQ", 1, 2**64 - 1),
        WAV[:28] + struct.pack("<I", 1) + WAV[32:],
    ],
)
def test_a_sound_of_years_in_a_few_bytes_is_not_believed(data):
    """
    Then it is as long as files of its size usually are.
    """
    assert measure_seconds(data) is None


def test_a_book_in_a_few_bytes_is_not_believed():
    """
    A page takes some bytes, however well it is compressed.
    """
    head = b"%PDF-1.5 /Type /Pages /Count 500 "

    assert count_pages(head) is None
    assert 500 == count_pages(head + bytes(5_000))
