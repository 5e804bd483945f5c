"""Inspects a finished body, whose members may come from the request, `provider_options` or
`provider_content`.

It finds the ids of what a provider stores under a key that all callers share, and URLs that a
server in the site's own network would fetch. The client's own data (arguments and results of tools,
schemas, text) is not inspected: no server acts on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from native_api.dialects.shared.gateway_owned import REASONS, normalize_name
from native_api.exceptions import UnsupportedField
from native_api.types import DIALECT_FIELDS, Json
from native_api.types.chat import ROUTING_FIELDS

CLIENT_DATA_MEMBERS: Final = frozenset(
    {
        "parameters", "inputschema", "schema", "jsonschema", "responseschema", "responsejsonschema",
        "parametersjsonschema", "format", "properties", "args", "arguments", "response", "input",
        "json", "data", "metadata", "requestmetadata", "clientmetadata", "labels", "annotations",
        "citations",
    }
)  # fmt: skip
"""Members whose objects are the client's own data, by normalized name."""

TOP_LEVEL_DATA: Final = frozenset(
    {"input", "format", "metadata", "requestmetadata", "clientmetadata", "labels"}
)
"""Those of them that are members of a body itself on some wire. Others there are fields that nobody
here knows."""

TEXT_MEMBERS: Final = frozenset(
    {
        "text", "content", "refusal", "reasoningcontent", "reasoning", "thinking", "summary",
        "output", "input", "arguments", "instructions", "prompt", "description", "title", "name",
        "user", "userid", "system", "query", "code", "logs", "stop", "stopsequences", "signature",
        "thoughtsignature", "encryptedcontent", "bytes",
    }
)  # fmt: skip
"""Members whose strings a model reads, or that are never an id or a URL."""

STATE_MEMBERS: Final = frozenset(
    {
        "fileid", "fileids", "containerid", "vectorstoreid", "vectorstoreids", "previousresponseid",
        "responseid", "conversationid", "batchid", "threadid", "assistantid", "cachedcontent",
        "filesearchstorenames", "datastore", "ragcorpus", "ragcorpora", "promptid",
    }
)  # fmt: skip
"""Members that name something a provider stores."""

STATE_OBJECTS: Final = frozenset({"container", "conversation", "prompt", "audio", "voice"})
"""Objects whose `id` names it. A container and a conversation may also be a string."""

STORAGE_URL: Final = re.compile(
    r"(?:s3|gs)://|https?://generativelanguage\.googleapis\.com/", re.IGNORECASE
)
"""URLs that a provider reads with the account's permissions: buckets, and Gemini's files."""

STATE_PATTERN: Final = re.compile(
    rb'"(?i:file[_-]?(?:ids?|uri|search[_-]?store[_-]?names)|container(?:[_-]?id)?'
    rb"|vector[_-]?store[_-]?ids?|(?:previous[_-]?)?response[_-]?id|conversation(?:[_-]?id)?"
    rb"|(?:batch|thread|assistant|prompt|skill)[_-]?id|cached[_-]?content|data[_-]?store"
    rb'|rag[_-]?corp(?:us|ora)|prompt|audio|voice|item_reference)"'
)
BUCKET_SCHEMES: Final = (b"s3://", b"gs://")
"""A long body is inspected only if its JSON contains one of these. The pattern begins with a
character that is found fast."""

MAX_PATH_LENGTH: Final = 200
"""Characters of a path in an error."""

URL_PATTERN: Final = re.compile(
    r"(?:https?|ftp|file|wss?):|[a-z][a-z0-9+.-]*://|\\\\|//[\w-]*[.:\[@%]", re.IGNORECASE
)
"""Base64 may begin with two slashes, but it has no dots."""
STRIPPED_CHARACTERS: Final = "".join(map(chr, range(33)))
IGNORED_CHARACTERS: Final = str.maketrans("", "", "\t\r\n")
"""Characters that URL parsers strip at the ends, and ignore anywhere
(https://url.spec.whatwg.org/#concept-basic-url-parser)."""


OBJECT_FIELDS: Final = frozenset(
    {
        "audio", "prediction", "web_search_options", "prompt_cache_options", "moderation",
        "reasoning", "thinking", "chat_template_kwargs",
    }
)  # fmt: skip
"""Fields with members that may name anything."""

PLAIN_REQUEST_FIELDS: Final = ROUTING_FIELDS - {"provider_options"} | (
    DIALECT_FIELDS - OBJECT_FIELDS
)
PLAIN_MESSAGE_MEMBERS: Final = frozenset(
    {
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "reasoning_content",
        "refusal",
        "is_error",
    }
)
PLAIN_PART_MEMBERS: Final = frozenset({"type", "text", "refusal", "cache_control"})
PLAIN_CALL_MEMBERS: Final = frozenset({"id", "type", "index", "function"})
PLAIN_CALLED_MEMBERS: Final = frozenset({"name", "arguments", "parsed_arguments"})
PLAIN_TOOL_MEMBERS: Final = frozenset({"type", "function", "cache_control"})
PLAIN_FUNCTION_MEMBERS: Final = frozenset({"name", "description", "parameters", "strict"})
"""Members of the unified request that no dialect turns into an id or a URL."""


def is_plain_request(request: Mapping[str, Any]) -> bool:
    """Whether a request has only text, functions and their calls, as most do, and no members that
    are unknown: it needs no inspection."""
    return (
        request.keys() <= PLAIN_REQUEST_FIELDS
        and all(map(_is_plain_message, request["messages"]))
        and all(
            _is_plain(tool, PLAIN_TOOL_MEMBERS, PLAIN_FUNCTION_MEMBERS)
            for tool in request.get("tools") or ()
        )
    )


def _is_plain(
    owner: Mapping[str, Any], members: frozenset[str], function_members: frozenset[str]
) -> bool:
    """Whether a tool or a call has these members only, and its function the others."""
    return owner.keys() <= members and (owner.get("function") or {}).keys() <= (function_members)


def _is_plain_message(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if content.__class__ is str and len(message) == 2:
        return True
    if not message.keys() <= PLAIN_MESSAGE_MEMBERS or not all(
        _is_plain(call, PLAIN_CALL_MEMBERS, PLAIN_CALLED_MEMBERS)
        for call in message.get("tool_calls") or ()
    ):
        return False
    return content.__class__ is str or all(
        part.keys() <= PLAIN_PART_MEMBERS for part in content or ()
    )


MAX_WALKED_ENTRIES: Final = 8
"""Walking through as many entries is faster than a search in the JSON of the whole body."""
ENTRY_FIELDS: Final = ("messages", "input", "tools", "system")
"""Fields whose items are most of a body."""
PLAIN_ENTRY_MEMBERS: Final = frozenset(
    {
        "type", "role", "content", "id", "status", "phase", "call_id", "tool_use_id", "name",
        "namespace", "arguments", "input", "output", "summary", "text", "refusal", "thinking",
        "signature", "encrypted_content", "is_error", "description", "parameters", "input_schema",
        "strict", "format", "tools", "annotations", "citations", "cache_control",
    }
)  # fmt: skip
"""Members of items, of their parts, and of tools that name nothing outside of the request."""
DATA_LISTS: Final = frozenset({"annotations", "citations"})
DATA_OBJECTS: Final = frozenset(
    {"input", "arguments", "parameters", "input_schema", "format", "cache_control"}
)
"""Those of them that hold the client's own data. Other lists hold entries."""


def leave_out_plain(body: Json) -> Json:
    """The body without the entries that need no inspection, which are nearly all of a coding
    agent's."""
    rest = {name: value for name, value in body.items() if name not in ENTRY_FIELDS}
    for name in ENTRY_FIELDS:
        value = body.get(name)
        if isinstance(value, list):
            rest[name] = [entry for entry in value if not _is_plain_entry(entry)]
        elif value is not None:
            rest[name] = value
    return rest


def _is_plain_entry(entry: Any) -> bool:
    if entry.__class__ is not dict or not entry.keys() <= PLAIN_ENTRY_MEMBERS:
        return False
    for name, value in entry.items():
        kind = value.__class__
        if kind is list:
            if name not in DATA_LISTS and not all(map(_is_plain_entry, value)):
                return False
        elif kind is dict and name not in DATA_OBJECTS:
            return False
    return True


class Member(NamedTuple):
    """One member of an object in a body; each item of a list is a member of its own."""

    owner: Mapping[str, Any]
    name: str
    value: Any


def walk_members(body: Json) -> Iterator[Member]:
    """All members that a server may act on, in no particular order."""
    remaining: list[Any] = [body]
    while remaining:
        owner = remaining.pop()
        for name, value in owner.items():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, list):
                    remaining += [
                        inner if isinstance(inner, dict) else {name: [inner]} for inner in item
                    ]
                    continue
                yield Member(owner, name, item)
                if isinstance(item, dict) and (
                    normalize_name(name)
                    not in (TOP_LEVEL_DATA if owner is body else CLIENT_DATA_MEMBERS)
                    or (name == "input" and isinstance(value, list))
                ):
                    remaining.append(item)


# --- state at a provider -------------------------------------------------------------------------


def refuse_provider_state(body: Json, content: bytes, request: Mapping[str, Any]) -> None:
    """Raise UnsupportedField if a body names something that its provider stores.

    `content` is the body in JSON. The error names the path in `request`, the client's own.
    """
    if is_plain_request(request):
        return
    _refuse_references(body, request)
    rest = leave_out_plain(body)
    if _count_entries(rest) > MAX_WALKED_ENTRIES and not _may_name_state(content):
        return
    for member in walk_members(rest):
        name = _read_state_name(member)
        if name:
            raise UnsupportedField(find_path(request, name) or member.name, REASONS["state"])


def _count_entries(body: Json) -> int:
    return sum(len(body[name]) for name in ENTRY_FIELDS if isinstance(body.get(name), list))


def _may_name_state(content: bytes) -> bool:
    return STATE_PATTERN.search(content) is not None or any(
        bucket in content for bucket in BUCKET_SCHEMES
    )


def _refuse_references(body: Json, request: Mapping[str, Any]) -> None:
    """Refuse references to items of stored responses; in the Responses API they need no `type`."""
    items = body.get("input")
    for item in items if isinstance(items, list) else ():
        if (
            isinstance(item, dict)
            and "role" not in item
            and item.get("type") in (None, "item_reference")
        ):
            raise UnsupportedField(
                find_path(request, str(item.get("id"))) or "input", REASONS["state"]
            )


def _read_state_name(member: Member) -> str:
    """The id or URL of what a provider stores, "" if the member names nothing."""
    owner, name, value = member
    key = normalize_name(name)
    if isinstance(value, Mapping):
        return _string_or_empty(value.get("id")) if key in STATE_OBJECTS else ""
    if not isinstance(value, str):
        return ""
    if (
        key in STATE_MEMBERS
        or key in ("container", "conversation")
        or (key == "skillid" and owner.get("type") != "anthropic")
    ):
        return value
    if key == "fileuri":
        return (
            ""
            if value.startswith(("https://", "http://")) and not STORAGE_URL.match(value)
            else value
        )
    return value if key not in TEXT_MEMBERS and STORAGE_URL.match(value) else ""


def _string_or_empty(value: Any) -> str:
    return value if isinstance(value, str) else ""


# --- URLs ----------------------------------------------------------------------------------------


def refuse_urls(body: Json, request: Mapping[str, Any]) -> None:
    """Raise UnsupportedField if there is any URL in the body of a provider that must not fetch."""
    if is_plain_request(request):
        return
    for member in walk_members(body):
        if (
            isinstance(member.value, str)
            and normalize_name(member.name) not in TEXT_MEMBERS
            and is_url(member.value)
        ):
            path = find_path(request, member.value) or member.name
            raise UnsupportedField(
                path,
                "this provider is in the site's own network and must not fetch URLs; send the data",
            )


def is_url(text: str) -> bool:
    """Whether a URL parser may read the text as the URL of a host or a file."""
    if text.startswith("data:"):
        return False
    return (
        URL_PATTERN.match(text.lstrip(STRIPPED_CHARACTERS).translate(IGNORED_CHARACTERS))
        is not None
    )


# --- paths in the client's request ---------------------------------------------------------------


def find_path(request: Mapping[str, Any], text: str) -> str:
    """The path of the string in `request` that is `text` or the end of it, "" if there is none."""
    return next(_find_paths(request, text, ""), "")[:MAX_PATH_LENGTH]


def _find_paths(value: Any, text: str, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _find_paths(item, text, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_paths(item, text, f"{path}[{index}]")
    elif isinstance(value, str) and (value == text or (len(value) > 3 and text.endswith(value))):
        yield path
