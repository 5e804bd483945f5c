"""Detects the media type of a fetched file.

The file's first bytes decide if its format has a signature: servers often declare wrong types, and
providers answer 400 to an image that is not what its type says.
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
"""Signature, its offset, and the media type. Sources: the formats' specifications."""

TEXT_TYPES: Final = frozenset({"text/plain", "text/csv", "text/markdown"})


def detect_media_type(declared: str, data: bytes) -> str:
    """The file's media type; "" if it is none that models read.

    `declared` is the server's content type. It counts for texts only.
    """
    for signature, offset, media_type in SIGNATURES:
        if data.startswith(signature, offset):
            return media_type
    declared = declared.partition(";")[0].strip().lower()
    return declared if declared in TEXT_TYPES and _is_text(data) else ""


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False
