"""Estimates of token counts, for limits before a call and for records of calls without usage.

No tokenizer: within a third of the truth, at memory speed.

Rules, from the published tokenizers' averages:
1. A token is about four bytes of UTF-8, or about one CJK character. Both follow from two lengths:
   each CJK character has two bytes more than it has characters.
2. Everything in a body counts as text, in any member and on any wire: the model may read what this
   module does not know. Only short settings at the top level and the frames of messages do not
   count; instead, each message counts a few tokens for its frame.
3. Media count by what they are (`media_tokens`): an image counts a constant, audio and documents
   by size, a text document as its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from native_api.usage.media_tokens import NO_MEDIA, TURN_MEMBERS, find_media

MESSAGE_TOKENS: Final = 4
"""Role and separators; and once per request, the beginning of the answer."""

MESSAGE_BYTES: Final = 30
"""What `{"role":"user","content":""},` adds to a body."""

PART_BYTES: Final = 13
"""What `[{"text":""}]` adds to a message."""

TYPE_BYTES: Final = 14
"""What `"type":"text",` adds to a part."""

MEMBER_BYTES: Final = 14
"""What `"messages":[],` adds to a body."""

MAX_SETTING_CHARACTERS: Final = 64
MAX_SETTING_MEMBERS: Final = 8
MAX_SETTINGS_BYTES: Final = 1000
"""What counts as settings, which no model reads: values at the top level with so short a name and
text, alone or a few in an object, up to so many bytes in all."""


def text_tokens(text: str) -> int:
    """An estimate for one text, rounded up; 0 for the empty one."""
    if text.isascii():
        return -(-len(text) // 4)
    return tokens_of_lengths(len(text), len(text.encode("utf-8", "surrogatepass")) - len(text))


def embedding_tokens(texts: str | Sequence[Any]) -> int:
    """An estimate for the input of an embeddings request: texts, tokens, or lists of tokens."""
    if isinstance(texts, str):
        return text_tokens(texts)
    if texts and isinstance(texts[0], int):
        return len(texts)
    return sum(map(embedding_tokens, texts))


def tokens_of_lengths(characters: int, extra_bytes: int) -> int:
    """The same for a text of these lengths.

    `extra_bytes` are those that its UTF-8 has beyond one for each character.
    """
    wide = -(-extra_bytes // 2)
    return wide + -(-max(0, characters - wide) // 4)


def prompt_tokens(chat: Mapping[str, Any]) -> int:
    """An estimate for all that the model reads of a unified request.

    Never raises for a checked request.
    """
    try:
        return sent_tokens(chat, orjson.dumps(chat, default=str), may_hold_media(chat))
    except TypeError:
        return 0  # a request that cannot be encoded is never sent


def may_hold_media(chat: Mapping[str, Any]) -> bool:
    """Whether a body made from this unified request may contain media.

    A quick check; if False, `sent_tokens` does not search for media. A request of which only the
    head was made may contain any.
    """
    if chat.get("provider_options") or "messages" not in chat:
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
    """An estimate for all that the model reads of a body of any wire.

    `content` is the body as it is sent.
    """
    media = find_media(body) if may_hold_media else NO_MEDIA
    extra_bytes = 0 if content.isascii() else len(content) - len(content.decode())
    frames, turns = _frames(body)
    characters = max(0, len(content) - extra_bytes - frames - media.size)
    return MESSAGE_TOKENS * (turns + 1) + tokens_of_lengths(characters, extra_bytes) + media.tokens


def _frames(body: Mapping[str, Any]) -> tuple[int, int]:
    """The bytes of the body that are settings and frames, and the number of turns."""
    settings = size = turns = 0
    for name, value in body.items():
        if value.__class__ is list and name in TURN_MEMBERS:
            turns += len(value)
            size += MEMBER_BYTES + _size_of_frames(value)
        else:
            settings += _size_of_setting(name, value)
    return size + min(settings, MAX_SETTINGS_BYTES), turns


def _size_of_setting(name: str, value: Any) -> int:
    """The bytes of a member of the body; 0 if it may be more than a setting."""
    kind = value.__class__
    if len(name) > MAX_SETTING_CHARACTERS or kind is list:
        return 0
    if kind is str:
        is_short = len(value) <= MAX_SETTING_CHARACTERS
        return len(name) + len(value) + 6 if is_short else 0
    if kind is dict:
        if len(value) > MAX_SETTING_MEMBERS:
            return 0
        sizes = [_size_of_setting(member, inner) for member, inner in value.items()]
        return len(name) + 5 + sum(sizes) if all(sizes) else 0
    return len(name) + 4 + len(str(value))


def _size_of_frames(turns: list[Any]) -> int:
    """The bytes of these turns around their text."""
    turns_with_parts = [
        turn
        for turn in turns
        if turn.__class__ is dict and (turn.get("content").__class__ is list or "parts" in turn)
    ]
    size = MESSAGE_BYTES * len(turns)
    if not turns_with_parts:
        return size
    parts = turns_with_parts[0].get("content") or turns_with_parts[0].get("parts")
    has_type = (
        isinstance(parts, list)
        and bool(parts)
        and isinstance(parts[0], dict)
        and "type" in parts[0]
    )
    return size + (PART_BYTES + TYPE_BYTES * has_type) * len(turns_with_parts)
