"""Estimates of token counts, for limits before a call and for records of calls without usage. No
tokenizer: within a third of the truth, at memory speed.

Rules, from the published tokenizers' averages:
1. About four bytes of UTF-8 are a token, and about one CJK character is. Both come out of two
   lengths: bytes beyond the number of characters are there in pairs for each CJK character.
2. Everything in a body counts as text, whatever its member is called and whatever the wire is: what
   nobody here knows of may be read by the model. Only short settings at the top level and the
   frames of messages do not; a message counts a few tokens for its own frame.
3. Media count by what they are, in the members that hold nothing else, and only where wires have
   content: an image counts a constant, sound and documents by size, a document of text as its text.
   The same words in a tool's arguments or in a schema are text.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

MESSAGE_TOKENS: Final = 4
"""Role, separators and, once for the request, the opening of the answer."""

MESSAGE_BYTES: Final = 30
"""What `{"role":"user","content":""},` adds to a body."""

PART_BYTES: Final = 13
TYPE_BYTES: Final = 14
"""What `[{"text":""}]` adds to a message, and `"type":"text",`."""

MEMBER_BYTES: Final = 14
"""What `"messages":[],` adds."""

TURNS: Final = ("messages", "contents", "input")
"""Where the wires have the conversation."""

SETTING: Final = 64
SETTINGS: Final = 1000
MEMBERS: Final = 8
"""What is taken for settings at the top level of a body, which no model reads: short values with
short names, alone or a few in an object, up to so many characters in all."""

IMAGE_TOKENS: Final = 765
"""OpenAI's count for a 1024x1024 image (https://platform.openai.com/docs/guides/images-vision, read
2026-11)."""

LOW_DETAIL_IMAGE_TOKENS: Final = 85

AUDIO_BYTES_A_TOKEN: Final = {"wav": 6400}
"""Base64 bytes: a tenth of a second of 24 kHz PCM. Other formats are compressed about six times."""
COMPRESSED_AUDIO_BYTES_A_TOKEN: Final = 1000

FILE_TOKENS: Final = 1500
"""The least a document costs, about one page of text with its picture."""
FILE_BYTES_A_TOKEN: Final = 100


def text_tokens(text: str) -> int:
    """An estimate for one text, rounded up; 0 for the empty one."""
    if text.isascii():
        return -(-len(text) // 4)
    return tokens_of_lengths(len(text), len(text.encode("utf-8", "surrogatepass")) - len(text))


def tokens_of_lengths(characters: int, bytes_beyond: int) -> int:
    """The same for a text of which only lengths are known; `bytes_beyond` are those of its UTF-8
    beyond one a character."""
    wide = -(-bytes_beyond // 2)
    return wide + -(-max(0, characters - wide) // 4)


def prompt_tokens(chat: Mapping[str, Any]) -> int:
    """An estimate for everything in a unified request that the model reads. Never raises for a
    checked request."""
    try:
        return sent_tokens(chat, orjson.dumps(chat, default=str), may_hold_media(chat))
    except TypeError:
        return 0  # what cannot be encoded is never sent


def may_hold_media(chat: Mapping[str, Any]) -> bool:
    """Whether a body made of this unified request may hold media. A quick look: without any,
    `sent_tokens` need not search."""
    if chat.get("provider_options"):
        return True
    for message in chat["messages"]:
        content = message.get("content")
        if (
            content.__class__ is not str
            and content
            and any(part.get("type") != "text" for part in content)
        ):
            return True
        if "provider_content" in message or "images" in message:
            return True
    return False


def sent_tokens(body: Mapping[str, Any], content: bytes, may_hold_media: bool = True) -> int:
    """An estimate for everything in a body of any wire that the model reads. `content` is the body
    as it is sent."""
    media = _media_in(body) if may_hold_media else NO_MEDIA
    beyond = 0 if content.isascii() else len(content) - len(content.decode())
    frames, turns = _frames(body)
    text = tokens_of_lengths(max(0, len(content) - beyond - frames - media.size), beyond)
    return MESSAGE_TOKENS * (turns + 1) + text + media.tokens


def _frames(body: Mapping[str, Any]) -> tuple[int, int]:
    """Bytes of the body that are settings and frames, and the number of turns."""
    settings = size = turns = 0
    for name, value in body.items():
        if value.__class__ is list and name in TURNS:
            turns += len(value)
            size += MEMBER_BYTES + _size_of_frames(value)
        else:
            settings += _size_of_setting(name, value)
    return size + min(settings, SETTINGS), turns


def _size_of_setting(name: str, value: Any) -> int:
    """Its bytes in the body; 0 if it may be more than a setting."""
    kind = value.__class__
    if len(name) > SETTING or kind is list:
        return 0
    if kind is str:
        return len(name) + len(value) + 6 if len(value) <= SETTING else 0
    if kind is dict:
        sizes = (
            [_size_of_setting(member, inner) for member, inner in value.items()]
            if len(value) <= MEMBERS
            else [0]
        )
        return len(name) + 5 + sum(sizes) if all(sizes) else 0
    return len(name) + 4 + len(str(value))


def _size_of_frames(turns: list[Any]) -> int:
    """Bytes around the words of these turns."""
    in_parts = [
        turn
        for turn in turns
        if turn.__class__ is dict and (turn.get("content").__class__ is list or "parts" in turn)
    ]
    if not in_parts:
        return MESSAGE_BYTES * len(turns)
    parts = in_parts[0].get("content") or in_parts[0].get("parts")
    typed = (
        isinstance(parts, list)
        and bool(parts)
        and isinstance(parts[0], dict)
        and "type" in parts[0]
    )
    return MESSAGE_BYTES * len(turns) + (PART_BYTES + TYPE_BYTES * typed) * len(in_parts)


# --- media ---------------------------------------------------------------------------------------------------------


class Media(NamedTuple):
    """Bytes of a body that are media, and the tokens that they count for."""

    size: int
    tokens: int


NO_MEDIA: Final = Media(0, 0)

CONTENT: Final = frozenset(
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
"""Members of turns in which wires have content of any kind."""


def _media_in(body: Mapping[str, Any]) -> Media:
    size = tokens = 0
    nodes: list[Any] = [
        body[name] for name in (*TURNS, "system", "systemInstruction") if name in body
    ]
    while nodes:
        node = nodes.pop()
        if node.__class__ is list:
            nodes += [item for item in node if item.__class__ is dict]
        elif node.__class__ is dict:
            for name, value in node.items():
                count = MEDIA.get(name)
                media = count(value, node) if count else None
                if media is not None:
                    size, tokens = size + media.size, tokens + media.tokens
                elif name in CONTENT:
                    nodes.append(value)
    return Media(size, tokens)


def _image_url(value: Any, part: Mapping[str, Any]) -> Media | None:
    """An address, or the data; in an object of its own or beside its `detail`."""
    holder = value if isinstance(value, dict) else {**part, "url": value}
    url = holder.get("url")
    return _media(url, LOW_DETAIL_IMAGE_TOKENS if holder.get("detail") == "low" else IMAGE_TOKENS)


def _input_audio(value: Any, part: Mapping[str, Any]) -> Media | None:
    if not isinstance(value, dict):
        return None
    return _media(value.get("data"), lambda data: _audio_tokens(data, value.get("format")))


def _file(value: Any, part: Mapping[str, Any]) -> Media | None:
    """OpenAI's `file` object; its data stand beside the name in Responses (`file_data`)."""
    if isinstance(value, dict) and not isinstance(value.get("file_data"), str):
        return Media(0, FILE_TOKENS)
    data = value.get("file_data") if isinstance(value, dict) else value
    return _media(data, lambda data: _file_tokens(data, ""))


def _address_of_file(value: Any, part: Mapping[str, Any]) -> Media | None:
    return _media(value.get("url") if isinstance(value, dict) else value, FILE_TOKENS)


def _source(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Anthropic's `source`, and Amazon's, whose block tells the format."""
    if not isinstance(value, dict):
        return None
    kind = str(value.get("media_type") or part.get("format") or part.get("type") or "")
    if value.get("type") == "url":
        return _media(
            value.get("url"), IMAGE_TOKENS if part.get("type") == "image" else FILE_TOKENS
        )
    data = value.get("data") if value.get("type") == "base64" else value.get("bytes")
    return _media(data, lambda data: _file_tokens(data, kind))


def _inline_data(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Google's, under both of its spellings."""
    if not isinstance(value, dict):
        return None
    kind, data = str(value.get("mimeType") or value.get("mime_type") or ""), value.get("data")
    return _media(data, lambda data: _file_tokens(data, kind))


def _file_data(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Google's `fileData`, an address; OpenAI's `file_data`, the data."""
    if not isinstance(value, dict):
        return _file(value, part)
    kind = str(value.get("mimeType") or value.get("mime_type") or "")
    address = value.get("fileUri") or value.get("file_uri")
    return _media(address, IMAGE_TOKENS if kind.startswith("image/") else FILE_TOKENS)


def _images(value: Any, part: Mapping[str, Any]) -> Media | None:
    """Ollama's list of base64."""
    if not isinstance(value, list) or not all(
        isinstance(item, str) and item.isascii() for item in value
    ):
        return None
    return Media(sum(map(len, value)), IMAGE_TOKENS * len(value))


MEDIA: Final[dict[Any, Callable[[Any, Mapping[str, Any]], Media | None]]] = {
    "image_url": _image_url,
    "input_audio": _input_audio,
    "file": _file,
    "file_id": lambda value, part: Media(0, FILE_TOKENS),
    "file_url": _address_of_file,
    "document_url": _address_of_file,
    "source": _source,
    "inlineData": _inline_data,
    "inline_data": _inline_data,
    "fileData": _file_data,
    "file_data": _file_data,
    "images": _images,
}


def _media(data: Any, tokens: int | Callable[[str], int]) -> Media | None:
    """None where there is nothing that can be an address or base64."""
    if not isinstance(data, str) or not data.isascii():
        return None
    return Media(len(data), tokens if isinstance(tokens, int) else tokens(data))


def _file_tokens(data: str, kind: str) -> int:
    """Of base64, or of a data URL, whose own type is the one that counts; `kind` is a media type or
    the name of a format."""
    if data.startswith("data:"):
        head, _, data = data.partition(",")
        kind = head[5:].partition(";")[0]
    if kind.startswith("image") or kind in ("png", "jpeg", "jpg", "gif", "webp"):
        return IMAGE_TOKENS
    if kind.startswith("audio"):
        return _audio_tokens(data, kind.partition("/")[2])
    if kind.startswith("text/") or _is_text(data):
        return -(-len(data) * 3 // 16)
    return max(FILE_TOKENS, len(data) // FILE_BYTES_A_TOKEN)


def _audio_tokens(data: str, kind: Any) -> int:
    return -(-len(data) // AUDIO_BYTES_A_TOKEN.get(kind, COMPRESSED_AUDIO_BYTES_A_TOKEN))


def _is_text(data: str) -> bool:
    """Whether base64 begins as text does: whoever sends it may call it what they like."""
    try:
        head = a2b_base64(data[:64])
    except NotBase64:
        return False
    return not head.startswith(b"%PDF") and not any(byte < 9 or 14 <= byte < 32 for byte in head)
