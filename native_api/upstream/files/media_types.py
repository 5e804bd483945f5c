"""Detects the media type of a fetched file.

The file's first bytes decide if its format has a signature: servers often declare wrong types, and
providers answer 400 to an image that is not what its type says.
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.shared.media_types import find_type

TEXT_TYPES: Final = frozenset({"text/plain", "text/csv", "text/markdown"})


def detect_media_type(declared: str, data: bytes) -> str:
    """The file's media type; "" if it is none that models read.

    `declared` is the server's content type. It counts for texts only.
    """
    shown = find_type(data)
    if shown:
        return shown
    declared = declared.partition(";")[0].strip().lower()
    return declared if declared in TEXT_TYPES and _is_text(data) else ""


def _is_text(data: bytes) -> bool:
    try:
        return "\x00" not in data.decode()
    except UnicodeDecodeError:
        return False
