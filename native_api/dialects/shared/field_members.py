"""The members of objects in top-level fields that the unified request has, and those in a request
that it does not have. Those of messages and tools are not looked at here.

OpenAI's own wire gets unknown members as they were written; every other wire leaves them out and
reports them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from native_api.types import Json

Members = Mapping[str, Any]
"""Name of a member -> its own members; None for a value that is not looked into."""


def _plain(*names: str) -> Members:
    return dict.fromkeys(names)


FIELD_MEMBERS: Final[Mapping[str, Members]] = {
    "stream_options": _plain("include_usage", "include_obfuscation"),
    "response_format": {
        "type": None,
        "json_schema": _plain("name", "description", "schema", "strict"),
    },
    "audio": _plain("voice", "format"),
    "prediction": _plain("type", "content"),
    "web_search_options": {
        "search_context_size": None,
        "user_location": {
            "type": None,
            "approximate": _plain("city", "country", "region", "timezone"),
        },
    },
    "prompt_cache_options": _plain("mode", "ttl"),
    "moderation": {
        "model": None,
        "policy": {"input": _plain("mode"), "output": _plain("mode")},
    },
    "reasoning": _plain("effort", "max_tokens", "exclude", "enabled", "summary"),
    "thinking": _plain("type", "budget_tokens"),
}
"""Field -> the members of its object."""

MAX_NAME_LENGTH: Final = 50
MAX_MEMBERS: Final = 20
"""Characters of a name, and unknown members, that are reported."""


class UnknownMember(NamedTuple):
    """A member that the unified request does not have. `path` is its object's."""

    path: str
    name: str
    known: Members

    @property
    def full_path(self) -> str:
        return f"{self.path}.{self.name[:MAX_NAME_LENGTH]}"


def find_unknown(chat: Mapping[str, Any]) -> Iterator[UnknownMember]:
    """The unknown members of a checked request."""
    for field, members in FIELD_MEMBERS.items():
        if field in chat:
            yield from _find_in(chat[field], members, field)


def _find_in(value: Any, members: Members, path: str) -> Iterator[UnknownMember]:
    if not isinstance(value, Mapping):
        return
    for name, inner in value.items():
        if name not in members:
            yield UnknownMember(path, name, members)
        elif members[name] is not None:
            yield from _find_in(inner, members[name], f"{path}.{name}")


def strip_unknown(chat: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """A checked request without its unknown members, and their paths, MAX_MEMBERS at most. The
    request itself is returned if there are none."""
    paths = [member.full_path for member in find_unknown(chat)]
    if not paths:
        return chat, []
    stripped: Json = {
        field: _copy_known(value, FIELD_MEMBERS[field]) if field in FIELD_MEMBERS else value
        for field, value in chat.items()
    }
    return stripped, sorted(paths)[:MAX_MEMBERS]


def _copy_known(value: Any, members: Members) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        name: inner if members[name] is None else _copy_known(inner, members[name])
        for name, inner in value.items()
        if name in members
    }
