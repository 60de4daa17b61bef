"""What a file is: told from its content, and only where that leaves it open from its name."""

from __future__ import annotations

from collections.abc import Collection

_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "pdf": "application/pdf",
    "rtf": "application/rtf",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "aiff": "audio/aiff",
    "aif": "audio/aiff",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "weba": "audio/webm",
    "wma": "audio/x-ms-wma",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "mpg": "video/mpeg",
    "mpeg": "video/mpeg",
    "ogv": "video/ogg",
    "3gp": "video/3gpp",
    "wmv": "video/x-ms-wmv",
    "flv": "video/x-flv",
}
_TEXTS = {
    "txt": "text/plain",
    "log": "text/plain",
    "rst": "text/plain",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "html": "text/html",
    "htm": "text/html",
    "xml": "application/xml",
    "svg": "application/xml",  # a picture to a browser, and a text to every model
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "toml": "application/toml",
    "css": "text/css",
    "js": "text/javascript",
    "py": "text/x-python",
}
_OTHER_NAMES = {
    "image/jpg": "image/jpeg",
    "image/x-ms-bmp": "image/bmp",
    "application/x-pdf": "application/pdf",
    "text/rtf": "application/rtf",
    "text/xml": "application/xml",
    "text/x-markdown": "text/markdown",
    "application/csv": "text/csv",
    "application/javascript": "text/javascript",
    "application/x-yaml": "application/yaml",
    "text/yaml": "application/yaml",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-aiff": "audio/aiff",
    "audio/aif": "audio/aiff",
    "audio/x-flac": "audio/flac",
    "audio/x-aac": "audio/aac",
    "audio/opus": "audio/ogg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "video/mov": "video/quicktime",
    "video/avi": "video/x-msvideo",
    "video/mpg": "video/mpeg",
    "video/wmv": "video/x-ms-wmv",
    "video/flv": "video/x-flv",
}
_TEXT_FORMATS = frozenset(kind for kind in _TEXTS.values() if not kind.startswith("text/"))


def normalise_media_type(media_type: str) -> str:
    """
    Give a media type its one name: in lower case, without parameters, and without the ``x-`` it once had.

    Example:
        >>> normalise_media_type("Audio/MP3; rate=44100")
        'audio/mpeg'
    """
    plain = media_type.partition(";")[0].strip().lower()
    return _OTHER_NAMES.get(plain, plain)


def is_text_type(media_type: str) -> bool:
    """Whether files of a type are words that any model can read: plain, CSV, JSON, HTML, source code."""
    plain = normalise_media_type(media_type)
    return plain.startswith("text/") or plain.endswith(("+json", "+xml")) or plain in _TEXT_FORMATS


def is_among(media_type: str, allowed: Collection[str]) -> bool:
    """Whether a list of types, which may name a whole class as ``text/*``, has one under any of its names."""
    plain = normalise_media_type(media_type)
    return any(each in (plain, f"{plain.partition('/')[0]}/*") for each in map(normalise_media_type, allowed))


def guess_media_type(name: str) -> str | None:
    """Say what a file of such a name usually is; None when its extension tells nothing."""
    extension = _find_extension(name)
    return _TYPES.get(extension) or _TEXTS.get(extension)


def detect_media_type(data: bytes, name: str | None = None) -> str | None:
    """
    Tell what a file is from its content, whatever it is called.

    The name decides only what the content leaves open: which kind of text it is, and whether a container of
    sound and pictures is a film.

    Args:
        data: All of it.
        name: What the file is called; None when nobody says.

    Returns:
        None when it is nothing known and no UTF-8 text either.

    Example:
        >>> detect_media_type(b"GIF89a...", "notes.txt")
        'image/gif'
        >>> detect_media_type(b"a,b", "prices.csv")
        'text/csv'
    """
    extension = _find_extension(name or "")
    for find in (_find_magic, _find_riff, _find_mp4, _find_sound, _find_zip):
        if (found := find(data)) is not None:
            return _OPEN.get((found, extension), found)
    if is_text(data):
        return _TEXTS.get(extension, "text/plain")
    # Many a PDF has something before its first line; readers look into the first 1,024 bytes.
    return "application/pdf" if b"%PDF-" in data[:1024] else None


def is_text(data: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters."""
    if not data or len(data.translate(None, _CONTROLS)) != len(data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


_OPEN = {
    ("video/mp4", "m4a"): "audio/mp4",
    ("video/webm", "weba"): "audio/webm",
    ("audio/ogg", "ogv"): "video/ogg",
    ("video/x-ms-wmv", "wma"): "audio/x-ms-wma",
    ("application/x-ole-storage", "doc"): _TYPES["doc"],
    ("application/x-ole-storage", "xls"): _TYPES["xls"],
    ("application/x-ole-storage", "ppt"): _TYPES["ppt"],
}
"""What a container's content leaves open, by the extension that decides it."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (rb"{\rtf", "application/rtf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"fLaC\x00", "audio/flac"),
    (b"fLaC\x80", "audio/flac"),
    (b"OggS\x00", "audio/ogg"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-wmv"),
)
_RIFF = {
    (b"RIFF", b"WEBP"): "image/webp",
    (b"RIFF", b"WAVE"): "audio/wav",
    (b"RIFF", b"AVI "): "video/x-msvideo",
    (b"FORM", b"AIFF"): "audio/aiff",
    (b"FORM", b"AIFC"): "audio/aiff",
}
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1", b"heif"), "image/heif"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio/mp4"),
    **dict.fromkeys((b"avc1", b"dash", b"M4V ", b"M4VH", b"M4VP", b"MSNV", b"mmp4", b"f4v "), "video/mp4"),
    b"qt  ": "video/quicktime",
}
_BRAND_FAMILIES = {b"iso": "video/mp4", b"mp4": "video/mp4", b"3gp": "video/3gpp", b"3g2": "video/3gpp2"}
_OFFICE = (
    (b"word/document.xml", _TYPES["docx"]),
    (b"xl/workbook.xml", _TYPES["xlsx"]),
    (b"xl/workbook.bin", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
    (b"ppt/presentation.xml", _TYPES["pptx"]),
)
_OPEN_DOCUMENTS = frozenset(_TYPES[extension] for extension in ("odt", "ods", "odp", "epub"))
_LONGEST_LIST = 2**22  # bytes: some 40,000 entries
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\r\f"))


def _find_extension(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _find_magic(data: bytes) -> str | None:
    if data.startswith(b"BM"):  # so may a text: in a bitmap the reserved bytes are zero
        return "image/bmp" if data[6:10] == bytes(4) else None
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in data[:64] else "video/x-matroska"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)


def _find_riff(data: bytes) -> str | None:
    return _RIFF.get((data[:4], data[8:12]))


def _find_mp4(data: bytes) -> str | None:
    if data[4:8] != b"ftyp":
        return None
    brand = data[8:12]
    return _BRANDS.get(brand) or _BRAND_FAMILIES.get(brand[:3])


def _find_sound(data: bytes) -> str | None:
    """MP3, with an ID3 tag or from its first frame, and AAC in ADTS frames; both begin with set bits."""
    if data[:3] == b"ID3" and data[3:4] in (b"\x02", b"\x03", b"\x04"):
        return "audio/mpeg"
    if len(data) < 4 or data[0] != 0xFF:
        return None
    if data[1] & 0xF6 == 0xF0:
        return "audio/aac"
    is_layer_3 = data[1] & 0xE6 == 0xE2 and data[1] & 0x18 != 0x08
    return "audio/mpeg" if is_layer_3 and data[2] & 0xF0 != 0xF0 and data[2] & 0x0C != 0x0C else None


def _find_zip(data: bytes) -> str | None:
    """Office documents are ZIP archives, and what they are is told by the names of what is inside."""
    if not data.startswith(b"PK\x03\x04"):
        return None
    kind = _read_mimetype(data)
    if kind in _OPEN_DOCUMENTS:
        return kind
    directory = _cut_directory(data)
    return next((kind for name, kind in _OFFICE if _names_entry(directory, name)), None)


def _read_mimetype(data: bytes) -> str:
    """The first entry of an OpenDocument file or an EPUB is called ``mimetype`` and is not compressed."""
    if data[30:38] != b"mimetype":
        return ""
    start = 38 + int.from_bytes(data[28:30], "little")
    content = data[start : start + min(int.from_bytes(data[18:22], "little"), 100)]
    return content.decode("ascii", "replace")


def _cut_directory(data: bytes) -> bytes:
    """The list of an archive's entries, which is at its end; nothing of what is compressed is read."""
    end = data.rfind(b"PK\x05\x06")
    if end < 0:
        return b""
    size = int.from_bytes(data[end + 12 : end + 16], "little")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    return data[start : start + min(size, _LONGEST_LIST)]


def _names_entry(directory: bytes, name: bytes) -> bool:
    """Whether an entry has exactly this name, which follows 46 bytes that begin with ``PK``."""
    at = directory.find(name)
    while at >= 0:
        length = int.from_bytes(directory[at - 18 : at - 16], "little")
        if at >= 46 and directory[at - 46 : at - 42] == b"PK\x01\x02" and length == len(name):
            return True
        at = directory.find(name, at + 1)
    return False
