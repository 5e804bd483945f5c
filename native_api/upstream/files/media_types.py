"""What a fetched file is. Its own beginning says so, where its kind has one: servers are careless
with types, and providers answer 400 to an image that is not what it is called.
"""

from __future__ import annotations

from typing import Final

SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
    (b"ftypheic", 4, "image/heic"),
    (b"ftypheix", 4, "image/heic"),
    (b"ftypmif1", 4, "image/heif"),
    (b"ftypM4A", 4, "audio/mp4"),
    (b"%PDF-", 0, "application/pdf"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"\xff\xf3", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"fLaC", 0, "audio/flac"),
)
"""How a file begins, where it says so, and its type. Sources: the formats' specifications."""

TEXTS: Final = frozenset({"text/plain", "text/csv", "text/markdown"})


def media_type(declared: str, data: bytes) -> str:
    """The file's type, "" where it is none that models read. `declared` is what its server calls
    it, and counts for texts alone."""
    for beginning, position, known in SIGNATURES:
        if data.startswith(beginning, position):
            return known
    declared = declared.partition(";")[0].strip().lower()
    return declared if declared in TEXTS and _is_text(data) else ""


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False
