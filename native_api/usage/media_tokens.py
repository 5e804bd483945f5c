"""Estimates of the tokens of images, audio, documents and other files in a request body.

Media are recognised by members that contain nothing else, and only inside the members in which the
wires have content: the same members in a tool's arguments or in a schema are text.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

TURN_MEMBERS: Final = ("messages", "contents", "input")
"""The members of a body that contain the conversation."""

SEARCHED_MEMBERS: Final = (*TURN_MEMBERS, "system", "systemInstruction")

IMAGE_TOKENS: Final = 765
"""OpenAI's count for a 1024x1024 image (https://platform.openai.com/docs/guides/images-vision, read
2026-11)."""

LOW_DETAIL_IMAGE_TOKENS: Final = 85

AUDIO_BYTES_PER_TOKEN: Final = {"wav": 6400}
"""Base64 bytes by format: a tenth of a second of 24 kHz PCM. Other formats are compressed about six
times."""
COMPRESSED_AUDIO_BYTES_PER_TOKEN: Final = 1000

FILE_TOKENS: Final = 1500
"""The minimum for a document: about one page of text with its picture."""
FILE_BYTES_PER_TOKEN: Final = 100


class Media(NamedTuple):
    """The bytes of a body that are media, and the tokens that they count as."""

    size: int
    tokens: int


NO_MEDIA: Final = Media(0, 0)

CONTENT_MEMBERS: Final = frozenset(
    {
        "content",
        "parts",
        "output",
        "source",
        "image",
        "document",
        "video",
        "toolResult",
        "functionResponse",
        "tool_result",
    }
)
"""Members of turns in which the wires have content of any kind."""


def find_media(body: Mapping[str, Any]) -> Media:
    """All media in a body of any wire."""
    size = tokens = 0
    nodes: list[Any] = [body[name] for name in SEARCHED_MEMBERS if name in body]
    while nodes:
        node = nodes.pop()
        if node.__class__ is list:
            nodes += [item for item in node if item.__class__ is dict]
        elif node.__class__ is dict:
            for name, value in node.items():
                count = MEDIA_MEMBERS.get(name)
                media = count(value, node) if count else None
                if media is not None:
                    size, tokens = size + media.size, tokens + media.tokens
                elif name in CONTENT_MEMBERS:
                    nodes.append(value)
    return Media(size, tokens)


def _image_url(value: Any, part: Mapping[str, Any]) -> Media | None:
    """A URL or the data, in an object, or as text in the part that has the `detail`."""
    image = value if isinstance(value, dict) else {**part, "url": value}
    is_low_detail = image.get("detail") == "low"
    return _media(image.get("url"), LOW_DETAIL_IMAGE_TOKENS if is_low_detail else IMAGE_TOKENS)


def _input_audio(value: Any, part: Mapping[str, Any]) -> Media | None:
    if not isinstance(value, dict):
        return None
    return _media(value.get("data"), lambda data: _audio_tokens(data, value.get("format")))


def _file(value: Any, part: Mapping[str, Any]) -> Media | None:
    """OpenAI's `file` object, or the `file_data` that Responses has in the part itself."""
    if isinstance(value, dict) and not isinstance(value.get("file_data"), str):
        return Media(0, FILE_TOKENS)
    data = value.get("file_data") if isinstance(value, dict) else value
    return _media(data, lambda data: _file_tokens(data, ""))


def _file_url(value: Any, part: Mapping[str, Any]) -> Media | None:
    return _media(value.get("url") if isinstance(value, dict) else value, FILE_TOKENS)


def _source(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Anthropic's `source`, and Amazon's, whose format is in the block."""
    if not isinstance(value, dict):
        return None
    kind = str(value.get("media_type") or part.get("format") or part.get("type") or "")
    if value.get("type") == "url":
        is_image = part.get("type") == "image"
        return _media(value.get("url"), IMAGE_TOKENS if is_image else FILE_TOKENS)
    data = value.get("data") if value.get("type") == "base64" else value.get("bytes")
    return _media(data, lambda data: _file_tokens(data, kind))


def _inline_data(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Google's `inlineData`, in both of its spellings."""
    if not isinstance(value, dict):
        return None
    kind, data = str(value.get("mimeType") or value.get("mime_type") or ""), value.get("data")
    return _media(data, lambda data: _file_tokens(data, kind))


def _file_data(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Google's `fileData`, a URL; or OpenAI's `file_data`, the data."""
    if not isinstance(value, dict):
        return _file(value, part)
    kind = str(value.get("mimeType") or value.get("mime_type") or "")
    url = value.get("fileUri") or value.get("file_uri")
    return _media(url, IMAGE_TOKENS if kind.startswith("image/") else FILE_TOKENS)


def _images(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Ollama's list of base64 texts."""
    if not isinstance(value, list) or not all(
        isinstance(item, str) and item.isascii() for item in value
    ):
        return None
    return Media(sum(map(len, value)), IMAGE_TOKENS * len(value))


MEDIA_MEMBERS: Final[dict[Any, Callable[[Any, Mapping[str, Any]], Media | None]]] = {
    "image_url": _image_url,
    "input_audio": _input_audio,
    "file": _file,
    "file_id": lambda value, part: Media(0, FILE_TOKENS),
    "file_url": _file_url,
    "document_url": _file_url,
    "source": _source,
    "inlineData": _inline_data,
    "inline_data": _inline_data,
    "fileData": _file_data,
    "file_data": _file_data,
    "images": _images,
}
"""Functions that get the member's value and the part it is in. They return None if it is not
media."""


def _media(data: Any, tokens: int | Callable[[str], int]) -> Media | None:
    """None if `data` can be neither a URL nor base64."""
    if not isinstance(data, str) or not data.isascii():
        return None
    return Media(len(data), tokens if isinstance(tokens, int) else tokens(data))


def _file_tokens(data: str, kind: str) -> int:
    """For base64, or a data URL, whose own type takes precedence.

    `kind` is a media type or the name of a format.
    """
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        kind = head[5:].partition(";")[0]
    if kind.startswith("image") or kind in ("png", "jpeg", "jpg", "gif", "webp"):
        return IMAGE_TOKENS
    if kind.startswith("audio"):
        return _audio_tokens(data, kind.partition("/")[2])
    if kind.startswith("text/") or _is_text(data):
        return -(-len(data) * 3 // 16)
    return max(FILE_TOKENS, len(data) // FILE_BYTES_PER_TOKEN)


def _audio_tokens(data: str, kind: Any) -> int:
    return -(-len(data) // AUDIO_BYTES_PER_TOKEN.get(kind, COMPRESSED_AUDIO_BYTES_PER_TOKEN))


def _is_text(data: str) -> bool:
    """Whether base64 begins like text. The declared type is not trusted for that."""
    try:
        head = a2b_base64(data[:64])
    except Base64Error:
        return False
    return not head.startswith(b"%PDF") and not any(byte < 9 or 14 <= byte < 32 for byte in head)
