"""Looks through a body as it is sent, whatever way its members came in: the request,
`provider_options`, `provider_content`.

Found here: names of what a provider keeps under a key that all callers share, and addresses that a
server in the site's own network would fetch. What the client made up itself (a tool's arguments and
results, schemas, text) is not looked into: nobody acts on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from native_api.dialects.shared.gateway_owned import REASONS, normalize_name
from native_api.exceptions import UnsupportedField
from native_api.types import DIALECT_FIELDS, ROUTING_FIELDS, Json

OPAQUE: Final = frozenset(
    {
        "parameters", "inputschema", "schema", "jsonschema", "responseschema", "responsejsonschema", "parametersjsonschema", "format",
        "properties", "args", "arguments", "response", "input", "json", "data", "metadata", "requestmetadata", "labels", "annotations",
        "citations",
    }
)  # fmt: skip
"""Members whose objects are the client's own data."""

TEXT: Final = frozenset(
    {
        "text", "content", "refusal", "reasoningcontent", "reasoning", "thinking", "summary", "output", "input", "arguments",
        "instructions", "prompt", "description", "title", "name", "user", "userid", "system", "query", "code", "logs", "stop",
        "stopsequences", "signature", "thoughtsignature", "encryptedcontent", "bytes",
    }
)  # fmt: skip
"""Members whose strings a model reads, or that are no names or addresses of anything."""

KEPT: Final = frozenset(
    {
        "fileid", "fileids", "containerid", "vectorstoreid", "vectorstoreids", "previousresponseid", "responseid", "conversationid",
        "batchid", "threadid", "assistantid", "cachedcontent", "filesearchstorenames", "datastore", "ragcorpus", "ragcorpora",
        "promptid",
    }
)  # fmt: skip
"""Members that name something which a provider keeps."""

KEPT_OBJECTS: Final = frozenset({"container", "conversation", "prompt", "audio", "voice"})
"""Members that name it by their `id`. A container and a conversation may also be a string."""

STORED: Final = re.compile(
    r"(?:s3|gs)://|https?://generativelanguage\.googleapis\.com/", re.IGNORECASE
)
"""Where a provider reads with the account's own rights: its buckets, and the files of the Gemini
API."""

NEEDLES: Final = re.compile(
    rb'"(?:file_?[iI]ds?|file_?[uU]ri|container|container_id|containerId|vector_store_ids?|vectorStoreIds?|previous_response_id|response_id'
    rb"|conversation|conversation_id|batch_id|thread_id|assistant_id|cached_?[cC]ontent|file_?[sS]earch_?[sS]tore_?[nN]ames|data_?[sS]tore"
    rb'|rag_?[cC]orpus|rag_?[cC]orpora|prompt|prompt_id|audio|voice|skill_id|item_reference)"'
)
BUCKETS: Final = (b"s3://", b"gs://")
"""What a body must hold somewhere before it is worth looking through: the expression begins with a
letter that is found fast."""

MAX_PATH_LENGTH: Final = 200
"""Characters of a path in an error."""

ADDRESS: Final = re.compile(
    r"(?:https?|ftp|file|wss?):|[a-z][a-z0-9+.-]*://|\\\\|//[\w-]*[.:\[@%]", re.IGNORECASE
)
"""Base64 may begin with two slashes; it has no dots."""
CONTROLS: Final = "".join(map(chr, range(33)))
IGNORED: Final = str.maketrans("", "", "\t\r\n")
"""Characters that URL parsers strip at the ends, and leave out anywhere
(https://url.spec.whatwg.org/#concept-basic-url-parser)."""


PLAIN_FIELDS: Final = ROUTING_FIELDS - {"provider_options"} | (
    DIALECT_FIELDS - {"audio", "prediction", "web_search_options"}
)
PLAIN_MESSAGE: Final = frozenset(
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
PLAIN_PART: Final = frozenset({"type", "text", "refusal", "cache_control"})
"""Of the unified request: what no dialect makes a name or an address of."""


def is_plain_request(request: Mapping[str, Any]) -> bool:
    """Whether a unified request is text and function calls alone, as most are: then there is
    nothing to look for in its body."""
    return request.keys() <= PLAIN_FIELDS and all(map(_is_plain_message, request["messages"]))


def _is_plain_message(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if content.__class__ is str and len(message) == 2:
        return True
    if not message.keys() <= PLAIN_MESSAGE or any(
        "extra_content" in call for call in message.get("tool_calls") or ()
    ):
        return False
    return content.__class__ is str or all(part.keys() <= PLAIN_PART for part in content or ())


class Member(NamedTuple):
    """One member of an object in a body; the items of a list each count as the member."""

    owner: Mapping[str, Any]
    name: str
    value: Any


def walk_members(body: Json) -> Iterator[Member]:
    """All members that a server may act on, in no certain order."""
    ahead: list[Any] = [body]
    while ahead:
        owner = ahead.pop()
        for name, value in owner.items():
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, list):
                    ahead += [
                        inner if isinstance(inner, dict) else {name: [inner]} for inner in item
                    ]
                    continue
                yield Member(owner, name, item)
                if isinstance(item, dict) and (
                    normalize_name(name) not in OPAQUE
                    or (name == "input" and isinstance(value, list))
                ):
                    ahead.append(item)


# --- what a provider keeps --------------------------------------------------------------------------------


def refuse_provider_state(body: Json, content: bytes, request: Mapping[str, Any]) -> None:
    """Refuse a body that names something kept at its provider. `content` is the body in JSON,
    `request` what the client wrote.

    Raises UnsupportedField naming the client's own member.
    """
    if is_plain_request(request):
        return
    _refuse_references(body, request)
    if NEEDLES.search(content) is None and not any(bucket in content for bucket in BUCKETS):
        return
    for member in walk_members(body):
        named = _kept_by(member)
        if named:
            raise UnsupportedField(find_path(request, named) or member.name, REASONS["state"])


def _refuse_references(body: Json, request: Mapping[str, Any]) -> None:
    """The Responses API takes an item of a stored response by its id, and needs no `type` for
    it."""
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


def _kept_by(member: Member) -> str:
    """The name of what is kept, "" for a member that names nothing."""
    owner, name, value = member
    key = normalize_name(name)
    if isinstance(value, Mapping):
        return _text(value.get("id")) if key in KEPT_OBJECTS else ""
    if not isinstance(value, str):
        return ""
    if (
        key in KEPT
        or key in ("container", "conversation")
        or (key == "skillid" and owner.get("type") != "anthropic")
    ):
        return value
    if key == "fileuri":
        return (
            "" if value.startswith(("https://", "http://")) and not STORED.match(value) else value
        )
    return value if key not in TEXT and STORED.match(value) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# --- addresses --------------------------------------------------------------------------------------------


def refuse_addresses(body: Json, request: Mapping[str, Any]) -> None:
    """Refuse a body with any address in it, for a provider that must not be made to fetch. Raises
    UnsupportedField."""
    if is_plain_request(request):
        return
    for member in walk_members(body):
        if (
            isinstance(member.value, str)
            and normalize_name(member.name) not in TEXT
            and is_address(member.value)
        ):
            place = find_path(request, member.value) or member.name
            raise UnsupportedField(
                place,
                "this provider stands in the site's own network and fetches no addresses; send the data",
            )


def is_address(text: str) -> bool:
    """Whether a URL parser may take the text for an address on some host, or for a file."""
    if text.startswith("data:"):
        return False
    return ADDRESS.match(text.lstrip(CONTROLS).translate(IGNORED)) is not None


# --- where the client wrote it ----------------------------------------------------------------------------


def find_path(request: Mapping[str, Any], text: str) -> str:
    """The path of the member of `request` whose string is `text`, or that `text` was made of; "" if
    there is none."""
    return next(_places(request, text, ""), "")[:MAX_PATH_LENGTH]


def _places(value: Any, text: str, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _places(item, text, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _places(item, text, f"{path}[{position}]")
    elif isinstance(value, str) and (value == text or (len(value) > 3 and text.endswith(value))):
        yield path
