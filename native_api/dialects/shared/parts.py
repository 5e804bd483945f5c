"""The parts of unified messages: text, data URLs and files."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from native_api.dialects.shared.media_types import detect_type
from native_api.exceptions import UnsupportedField
from native_api.types import Json

FILLER_TEXT: Final = "."
"""Stands for a user's message that says nothing, on wires that refuse one."""
SEE_NEXT_MESSAGE: Final = "See the next message."
"""The text of a tool's result that has only files, if these follow in a user's message."""


class DataURL(NamedTuple):
    """The inline data of a file; `data` is base64."""

    media_type: str
    data: str


def is_blank(text: str | None) -> bool:
    """Whether a text says nothing: it is empty, or only white space.

    Anthropic and Amazon answer 400 to both: "text content blocks must contain non-whitespace text"
    (https://github.com/anthropics/claude-code/issues/23440, 2026-02).
    """
    return not text or text.isspace()


def list_parts(message: Mapping[str, Any]) -> list[Json]:
    """The content as a list of parts, blank texts included."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content or ())


def read_parts(message: Mapping[str, Any]) -> list[Json]:
    """The content as a list of parts, without blank texts.

    The `cache_control` of a blank text goes to the part before it: what is cached is the same.
    """
    parts: list[Json] = []
    for part in list_parts(message):
        if part["type"] != "text" or not is_blank(part["text"]):
            parts.append(part)
        elif (mark := read_cache_control(part)) and parts:
            parts[-1] = {"cache_control": mark, **parts[-1]}
    return parts


def read_text(message: Mapping[str, Any]) -> str:
    """All text of a message; its parts are joined by line breaks."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part["type"] == "text")


CACHE_TTLS: Final = {"30m": "1h"}
"""OpenAI's least lifetime of a cached prefix -> the shortest of Anthropic's that is as long."""


def read_breakpoint(part: Mapping[str, Any]) -> Json | None:
    """The `prompt_cache_breakpoint` of a part, or the one that says the same as its
    `cache_control`; None if it has neither."""
    written: Json | None = part.get("prompt_cache_breakpoint")
    return written or ({"mode": "explicit"} if part.get("cache_control") else None)


def read_cache_control(part: Mapping[str, Any]) -> Json | None:
    """The `cache_control` of a part, or the one that says the same as its
    `prompt_cache_breakpoint`; None if it has neither.

    https://platform.openai.com/docs/guides/prompt-caching (2026-11). A longer lifetime than an
    hour is left to the provider's default, see `unknown_members`.
    """
    written: Json | None = part.get("cache_control")
    mark = part.get("prompt_cache_breakpoint")
    if written or not mark:
        return written
    ttl = CACHE_TTLS.get(mark.get("ttl") or "")
    return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}


def parse_data_url(url: str) -> DataURL | None:
    """The inline data of a `data:` URL (RFC 2397), None for any other URL.

    Data that is not base64 is encoded. The media type is what the data shows, else what the URL
    says, else plain text.
    """
    if not url.startswith("data:"):
        return None
    head, _, data = url[5:].partition(",")
    media_type, *attributes = head.split(";")
    if "base64" not in attributes:
        data = b64encode(unquote_to_bytes(data)).decode()
    return DataURL(detect_type(media_type.strip().lower(), data) or "text/plain", data)


def correct_data_url(url: str) -> str:
    """The URL, with the media type that its data shows if it is a `data:` URL with another one."""
    inline = parse_data_url(url)
    if inline is None or url.startswith(f"data:{inline.media_type};"):
        return url
    return f"data:{inline.media_type};base64,{inline.data}"


def correct_image(part: Json) -> Json:
    """An `image_url` part whose data URL has the right media type. Never changes `part`."""
    image = part["image_url"]
    url = correct_data_url(image["url"])
    return part if url == image["url"] else {**part, "image_url": {**image, "url": url}}


def read_file_data(file: Mapping[str, Any], path: str) -> DataURL | None:
    """The inline data of a `file`, None if it has none.

    `file_data` is a data URL or base64 whose type the filename tells.
    """
    data = file.get("file_data")
    if not data:
        return None
    inline = parse_data_url(data)
    if inline is not None:
        return inline
    shown = detect_type("", data)
    return DataURL(shown or guess_media_type(file.get("filename") or "", path), data)


def decode_text(data: str, path: str) -> str:
    """The text of a file that came as base64. Raises UnsupportedField if it is not UTF-8."""
    try:
        return b64decode(data, validate=True).decode()
    except ValueError:
        raise UnsupportedField(path, "expected UTF-8 text in base64") from None


MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
}


def guess_media_type(filename: str, path: str) -> str:
    """The media type by the name's ending; a name without one is a PDF, as for OpenAI."""
    ending = filename.rpartition(".")[2].lower() if "." in filename else "pdf"
    if ending not in MEDIA_TYPES:
        raise UnsupportedField(
            path, f"the type of a .{ending[:20]} file is unknown; send file_data as a data URL"
        )
    return MEDIA_TYPES[ending]
