"""The media type of a file by its first bytes.

Clients and servers often declare wrong types: `image/jpg`, `image/png` for a JPEG,
`application/octet-stream`, or none. Anthropic, Amazon and Google answer 400 to an image that is not
what its type says.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Final

PICTURES: Final = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF87a", 0, "image/gif"),
    (b"GIF89a", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"ftypavif", 4, "image/avif"),
    (b"ftypheic", 4, "image/heic"),
    (b"ftypheix", 4, "image/heic"),
    (b"ftypmif1", 4, "image/heif"),
    (b"%PDF-", 0, "application/pdf"),
)
SIGNATURES: Final = (
    *PICTURES,
    (b"ftypM4A", 4, "audio/mp4"),
    (b"ftypqt", 4, "video/quicktime"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1aE\xdf\xa3", 0, "video/webm"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"\xff\xf3", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"fLaC", 0, "audio/flac"),
)
"""Signature, its offset, and the media type. Sources: the formats' specifications. Matroska and
WebM begin alike."""

UNKNOWN_TYPES: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""Declared types that say nothing."""
SAME_TYPES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"}
"""A name that people use -> the registered one."""
TRUSTED_PREFIXES: Final = ("audio/", "video/", "text/")
"""How declared types begin that hold even if the data begins like a picture."""
HEAD_CHARACTERS: Final = 32
"""Characters of base64 that contain every signature."""


def find_type(data: bytes, signatures: tuple[tuple[bytes, int, str], ...] = SIGNATURES) -> str:
    """The media type that the first bytes show; "" if they show none."""
    return next((kind for mark, at, kind in signatures if data.startswith(mark, at)), "")


def detect_type(declared: str, base64: str) -> str:
    """The media type of base64 data: what it shows, else what was declared ("" for nothing)."""
    declared = SAME_TYPES.get(declared, declared)
    if declared.startswith(TRUSTED_PREFIXES):
        return declared
    signatures = SIGNATURES if declared in UNKNOWN_TYPES else PICTURES
    return find_type(_decode_head(base64), signatures) or declared


def _decode_head(base64: str) -> bytes:
    head = "".join(base64[: 2 * HEAD_CHARACTERS].split())[:HEAD_CHARACTERS]
    try:
        return b64decode(head[: len(head) // 4 * 4])
    except ValueError:
        return b""
