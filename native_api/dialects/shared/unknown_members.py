"""The members of messages, content parts, tool calls and tools that the unified request has, and
those in a request that it does not have.

A dialect of OpenAI's own wire sends unknown members on; every other dialect leaves them out and
reports their names (`Dialect.keeps_unknown_members`). Parts and tools of an unknown type are not
left out, since that would change the answer: the target is unsuitable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json

MAX_NAMES: Final = 20
MAX_NAME_LENGTH: Final = 50
"""Of the unknown members of a request that are reported, and the characters of each."""

UNSAFE: Final = re.compile(r"[^\w.-]", re.ASCII)
"""Characters of a name that a header does not repeat."""

EVERY_ROLE: Final = frozenset({"role", "content", "name", "provider_content"})
ROLE_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "system": EVERY_ROLE,
    "developer": EVERY_ROLE,
    "user": EVERY_ROLE,
    "assistant": EVERY_ROLE
    | {
        "tool_calls", "refusal", "audio", "annotations", "function_call", "reasoning_content",
        "reasoning_details", "images",
    },
    "tool": EVERY_ROLE | {"tool_call_id", "is_error"},
    "function": EVERY_ROLE,
}  # fmt: skip
"""Role -> the members of its messages."""

PART_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset(),
    "refusal": frozenset(),
    "image_url": frozenset({"url", "detail"}),
    "input_audio": frozenset({"data", "format"}),
    "file": frozenset({"file_data", "file_id", "file_url", "filename"}),
    "video_url": frozenset({"url"}),
    "audio_url": frozenset({"url"}),
}
"""Type of a part -> the members of the object of the same name; texts have none."""

CALL_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "function": frozenset({"name", "arguments"}),
    "custom": frozenset({"name", "input"}),
}
TOOL_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    "function": frozenset({"name", "description", "parameters", "strict"}),
    "custom": frozenset({"name", "description", "format"}),
}

DEPTH: Final = 6
"""Of the deepest object with members of its own: list, message, list, part, object; and one."""

BREAKPOINT: Final = "messages.content.prompt_cache_breakpoint"
"""OpenAI's mark of a prefix that is cached, in the report. Wires with marks of their own translate
it (`parts.read_cache_control`)."""
BREAKPOINT_TTL: Final = f"{BREAKPOINT}.ttl"
OPENAI_MEMBERS: Final = frozenset({BREAKPOINT, BREAKPOINT_TTL})
"""What only OpenAI has of all that `find_unknown_members` finds."""
CACHE_TTLS: Final = (None, "30m")
"""The lifetimes of such a mark that those wires can express."""

Shapes = Mapping[str, tuple[frozenset[str], frozenset[str]]]
"""Type of an object -> its members, and those of the object in it that is named like the type."""


def _build_shapes(inner_members: Mapping[str, frozenset[str]], *around: str) -> Shapes:
    return {kind: (frozenset({kind, *around}), inner) for kind, inner in inner_members.items()}


PART_SHAPES: Final = _build_shapes(PART_MEMBERS, "type", "cache_control")
CALL_SHAPES: Final = _build_shapes(CALL_MEMBERS, "id", "type", "extra_content")
TOOL_SHAPES: Final = _build_shapes(TOOL_MEMBERS, "type", "cache_control")


class UnknownMember(NamedTuple):
    """A member that the unified request does not have. `path` is that of its object in the request,
    `field` the same without numbers; `known` are the members that the object may have."""

    owner: Json
    name: str
    path: str
    field: str
    known: frozenset[str]

    @property
    def report_name(self) -> str:
        return describe_member(self.field, self.name)


def describe_member(field: str, name: str) -> str:
    """What `x-native-omitted` calls a member: `messages.content.mood`."""
    return f"{field}.{UNSAFE.sub('?', name[:MAX_NAME_LENGTH])}"


class UnknownKind(NamedTuple):
    """A part or a tool of a type that the unified request does not have."""

    kind: str
    path: str


def find_unknown_members(chat: Mapping[str, Any]) -> Iterator[UnknownMember]:
    """The unknown members of a checked request, in its order."""
    for index, message in enumerate(chat["messages"]):
        known = ROLE_MEMBERS[message["role"]]
        content = message.get("content")
        if not message.keys() <= known:
            yield from _compare(message, known, f"messages[{index}]", "messages")
        if content.__class__ is list:
            path = f"messages[{index}].content"
            yield from _find_in(content, PART_SHAPES, path, "messages.content")
        calls = message.get("tool_calls")
        if calls:
            path = f"messages[{index}].tool_calls"
            yield from _find_in(calls, CALL_SHAPES, path, "messages.tool_calls")
    yield from _find_in(chat.get("tools") or (), TOOL_SHAPES, "tools", "tools")


def _find_in(
    items: Iterable[Json], shapes: Shapes, path: str, field: str
) -> Iterator[UnknownMember]:
    """The unknown members of typed objects, and of the object in each that is named like its
    type. Objects of an unknown type are another wire's as a whole."""
    for index, item in enumerate(items):
        kind = item.get("type") or ""
        if kind not in shapes:
            continue
        known, inner = shapes[kind]
        if not item.keys() <= known:
            yield from _compare(item, known, f"{path}[{index}]", field)
        if inner and not item[kind].keys() <= inner:
            yield from _compare(item[kind], inner, f"{path}[{index}].{kind}", f"{field}.{kind}")


def _compare(owner: Json, known: frozenset[str], path: str, field: str) -> Iterator[UnknownMember]:
    for name, value in owner.items():
        if name not in known:
            yield UnknownMember(owner, name, path, field, known)
        if name == "prompt_cache_breakpoint" and not _is_expressed(value):
            yield UnknownMember(value, "ttl", f"{path}.{name}", f"{field}.{name}", known)


def _is_expressed(breakpoint_mark: Any) -> bool:
    """Whether wires with marks of their own can say how long the prefix is cached. Only the marks
    of content parts are checked; elsewhere they have any shape, and are left out whole."""
    return not isinstance(breakpoint_mark, dict) or breakpoint_mark.get("ttl") in CACHE_TTLS


def find_unknown_kinds(chat: Mapping[str, Any]) -> Iterator[UnknownKind]:
    """The parts and tools of a checked request whose type is unknown."""
    for index, message in enumerate(chat["messages"]):
        content = message.get("content")
        if content.__class__ is not list:
            continue
        for position, part in enumerate(content):
            if part["type"] not in PART_MEMBERS:
                yield UnknownKind(part["type"], f"messages[{index}].content[{position}].type")
    for index, tool in enumerate(chat.get("tools") or ()):
        if tool["type"] not in TOOL_MEMBERS:
            yield UnknownKind(tool["type"], f"tools[{index}].type")


def leave_out(chat: ChatRequest, expressed: frozenset[str], omitted: list[str]) -> ChatRequest:
    """The chat without the unknown members that a wire does not express; their names are added to
    `omitted`. Raises UnsupportedField for a part or a tool of an unknown type."""
    for kind, path in find_unknown_kinds(chat):
        raise UnsupportedField(path, f"this provider has no {kind[:MAX_NAME_LENGTH]!r}")
    known: ChatRequest
    known, names = strip_unknown_members(chat, expressed)
    omitted += names
    return known


def strip_unknown_members(
    chat: Mapping[str, Any], expressed: frozenset[str] = frozenset()
) -> tuple[Any, list[str]]:
    """A checked request without its unknown members, and their names in the report, each once and
    at most MAX_NAMES.

    Members whose name is in `expressed` stay. The request itself is returned if nothing goes.
    """
    members = [
        member for member in find_unknown_members(chat) if member.report_name not in expressed
    ]
    if not members:
        return chat, []
    names: dict[int, set[str]] = {}
    for member in members:
        names.setdefault(id(member.owner), set()).add(member.name)
    stripped = {
        field: _copy_without(value, names, DEPTH) if field in ("messages", "tools") else value
        for field, value in chat.items()
    }
    report = dict.fromkeys(member.report_name for member in members)
    return stripped, list(report)[:MAX_NAMES]


def _copy_without(value: Any, names: Mapping[int, set[str]], depth: int) -> Any:
    """A copy in which each object lacks the members that `names` has for its identity."""
    if not depth:
        return value
    if isinstance(value, list):
        return [_copy_without(item, names, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    unknown = names.get(id(value), ())
    return {
        name: _copy_without(item, names, depth - 1)
        for name, item in value.items()
        if name not in unknown
    }
