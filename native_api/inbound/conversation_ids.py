"""Conversation ids for clients that do not know our field: made of what they send for other reasons
in every request of a session (the setting CONVERSATION_ID_FROM)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from native_api.conf import STRINGS, setting_check, setting_path
from native_api.dialects.shared.client_bodies import find_member
from native_api.exceptions import SettingError
from native_api.types import Json

FIELDS: Final = frozenset({"metadata.user_id", "prompt_cache_key", "session_id"})
"""Members of a body, by their paths."""

HEADERS: Final = frozenset(
    {"session-id", "session_id", "x-claude-code-session-id", "x-session-affinity"}
)
"""Header names are compared without case. `session_id` is a field as well as a header."""

KNOWN: Final = sorted(FIELDS | HEADERS)


def add_conversation_id(body: Json, headers: Mapping[str, str], sources: Sequence[str]) -> Json:
    """The body with a conversation id made of the first source that has a value.

    Only a digest is used: values may be long, or say who somebody is.
    """
    for source in sources:
        for value in _find_values(body, headers, source):
            digest = sha256(f"{source}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()
            return {**body, "conversation_id": digest}
    return body


def _find_values(body: Json, headers: Mapping[str, str], source: str) -> Iterable[str]:
    """The values of this source, which are texts that are not empty."""
    if source in FIELDS:
        value = find_member(body, tuple(source.split(".")))
        if isinstance(value, str) and value:
            yield value
    header = headers.get(source) if source in HEADERS else None
    if header:
        yield header


@setting_check("CONVERSATION_ID_FROM")
def source_errors(name: str, value: Any) -> Iterator[SettingError]:
    """Yield what is wrong with CONVERSATION_ID_FROM."""
    if not STRINGS.is_valid(value):
        yield SettingError(setting_path(name), f"must be {STRINGS.description}", STRINGS.hint)
        return
    for source in value:
        if source not in KNOWN:
            hint = f"Known: {', '.join(KNOWN)}."
            yield SettingError(setting_path(name), f"there is no source {source!r}", hint)
