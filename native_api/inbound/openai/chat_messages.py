"""The `messages` field. Plain functions check it in one loop: a nested serializer for each message
would take tens of microseconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from native_api.conf import native_settings
from native_api.dialects.shared.unknown_members import ROLE_MEMBERS
from native_api.inbound.checks import (
    MAX_SHOWN,
    Check,
    FieldError,
    any_list,
    any_object,
    at_least,
    boolean,
    bounded_list,
    check_items,
    integer,
    kind_of,
    list_of,
    object_of,
    one_of,
    open_shape,
    string,
    typed,
    unknown_choice,
)

CACHE_CONTROL = open_shape({"type": one_of("ephemeral"), "ttl": string}, required=("type",))
MISSPELLED_RATIO: Final = 0.75
"""How near an unknown type is to a known one that it is a misspelling of, by `difflib`."""

BREAKPOINT = open_shape({"mode": one_of("explicit"), "ttl": string}, required=("mode",))
TYPE: Final = {
    "type": string,
    "cache_control": CACHE_CONTROL,
    "prompt_cache_breakpoint": BREAKPOINT,
}


def url(value: Any, path: str) -> str:
    """A URL that a provider can fetch, or a data URL."""
    text = string(value, path)
    if not text.startswith(("https://", "http://", "data:", "gs://", "s3://")):
        raise FieldError(path, "expected an http(s) or a data: URL")
    return text


def file(value: Any, path: str) -> dict[str, Any]:
    checked: dict[str, Any] = FILE(value, path)
    if not any(checked.get(name) for name in ("file_data", "file_id", "file_url")):
        raise FieldError(path, "expected file_data, file_id or file_url")
    return checked


def part(name: str, check: Check) -> Check:
    """A part with a member of its type's name."""
    return open_shape({**TYPE, name: check}, required=(name,))


AT_URL = open_shape({"url": url}, required=("url",))
FILE = open_shape({"file_data": string, "file_id": string, "file_url": url, "filename": string})
SOUND = open_shape({"data": string, "format": string}, required=("data", "format"))
TEXT = part("text", string)
PARTS: Final[Mapping[str, Check]] = {
    "text": TEXT,
    "image_url": part("image_url", open_shape({"url": url, "detail": string}, required=("url",))),
    "input_audio": part("input_audio", SOUND),
    "file": part("file", file),
    "video_url": part("video_url", AT_URL),
    "audio_url": part("audio_url", AT_URL),
}
REFUSAL = part("refusal", string)

OTHER_APIS_PARTS: Final[Mapping[str, str]] = {
    "input_text": "use the type 'text'",
    "output_text": "use the type 'text'",
    "input_image": "use the type 'image_url', with image_url: {url}",
    "image": "use the type 'image_url', with the data as a data: URL in image_url: {url}",
    "input_file": "use the type 'file', with file: {file_data, filename}",
    "document": "use the type 'file', with file: {file_data, filename}",
    "thinking": "send the reply's reasoning_content and reasoning_details back instead",
    "redacted_thinking": "send the reply's reasoning_details back instead",
    "tool_use": "use the message's tool_calls",
    "tool_result": "use a message of the role 'tool', with its tool_call_id",
}
"""Types of parts in OpenAI's Responses and Anthropic's Messages -> what to send here."""


def content(parts: Mapping[str, Check]) -> Check:
    """A string, or a list of parts of these types, or of types that nobody here knows."""
    check_part = typed(parts, "a content part", unknown=_unknown_part(parts))

    def check(value: Any, path: str) -> str | list[Any]:
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            raise FieldError(path, f"expected a string or a list of parts, not {kind_of(value)}")
        if not value:
            raise FieldError(path, "expected at least one part")
        return check_items(check_part, bounded_list(value, path), path)

    return check


def _unknown_part(parts: Mapping[str, Check]) -> Check:
    """A part of a type that only some servers know. Raises FieldError for a type of another API,
    for one that other messages have, and for what is probably a misspelling."""

    def check(value: Any, path: str) -> dict[str, Any]:
        kind = value["type"]
        if kind in OTHER_APIS_PARTS:
            raise FieldError(
                f"{path}.type", f"{kind!r} is a part of another API: {OTHER_APIS_PARTS[kind]}"
            )
        return check_unknown_kind(value, path, parts, PARTS, "a content part")

    return check


ANY_MEMBERS = open_shape({})


def check_unknown_kind(
    value: Any, path: str, choices: Collection[str], known: Collection[str], description: str
) -> dict[str, Any]:
    """An object of a type that is not among `choices`, as it is but for members that are null.

    Raises FieldError for a type that is known elsewhere or that is nearly one of the choices, and
    unless the site passes on what it does not know.
    """
    kind = value["type"]
    misspelled = get_close_matches(kind[:MAX_SHOWN], choices, 1, MISSPELLED_RATIO)
    if kind in known or misspelled or native_settings.UNKNOWN_FIELDS != "pass":
        raise unknown_choice(kind, choices, f"{path}.type", description)
    checked: dict[str, Any] = ANY_MEMBERS(value, path)
    return checked


COUNT = at_least(0, integer)
POSITIONS: Final = {
    "format": string,
    "index": COUNT,
    "at": COUNT,
    "calls": COUNT,
    "reasoning": COUNT,
    "blocks": COUNT,
    "until": COUNT,
}
REASONING = list_of(
    open_shape(
        {
            **POSITIONS,
            "type": string,
            "text": string,
            "signature": string,
            "data": string,
            "summary": string,
        }
    )
)
BLOCKS = list_of(open_shape({**POSITIONS, "block": any_object}, required=("format", "block")))
EXTRA = object_of(any_object)
IMAGES = list_of(
    open_shape(
        {"image_url": open_shape({"url": string}, required=("url",)), "extra_content": EXTRA},
        required=("image_url",),
    )
)
"""What a reply of the gateway contains and the client sends back, see `types.Message`."""

# `parsed_arguments`, like `parsed` below, is what the SDK's own parser made of what stands beside
# it: nothing is lost with it.
FUNCTION = open_shape(
    {"name": string, "arguments": string},
    required=("name", "arguments"),
    ignored=("parsed_arguments",),
)
CUSTOM = open_shape({"name": string, "input": string}, required=("name", "input"))


def call(name: str, check: Check) -> Check:
    """A call with a member of its type's name. `index` is what an SDK that put the call together
    from a stream leaves in it; providers refuse it."""
    return open_shape(
        {"id": string, "type": string, name: check, "extra_content": EXTRA},
        required=("id", name),
        ignored=("index",),
    )


TOOL_CALL = typed(
    {"function": call("function", FUNCTION), "custom": call("custom", CUSTOM)}, "a tool call"
)

MEMBERS: Final[Mapping[str, Check]] = {
    "role": string,
    "name": string,
    "provider_content": BLOCKS,
    "tool_calls": list_of(TOOL_CALL),
    "refusal": string,
    "audio": any_object,
    "annotations": any_list,
    "function_call": FUNCTION,
    "reasoning_content": string,
    "reasoning_details": REASONING,
    "images": IMAGES,
    "tool_call_id": string,
    "is_error": boolean,
}
"""Members of messages but their content. They are checked in messages of any role, also where they
mean nothing (`unknown_members.ROLE_MEMBERS`), since whoever reads them may not ask for the role."""

TEXT_ONLY = content({"text": TEXT})
IN_PARTS = content(PARTS)
ANSWER = content({"text": TEXT, "refusal": REFUSAL})
SAYS_SOMETHING: Final = ROLE_MEMBERS["assistant"] - {"role", "name", "annotations"}


def in_role(content_check: Check, *required: str, ignored: Collection[str] = ()) -> Check:
    return open_shape({**MEMBERS, "content": content_check}, required, ignored)


ROLES: Final = {
    "system": in_role(TEXT_ONLY, "content"),
    "developer": in_role(TEXT_ONLY, "content"),
    "user": in_role(IN_PARTS, "content"),
    # `parsed` is what the SDK's own parser made of `content`: nothing is lost with it.
    "assistant": in_role(ANSWER, ignored=("parsed",)),
    "tool": in_role(IN_PARTS, "content", "tool_call_id"),
    "function": in_role(string, "name"),
}


def messages(value: Any, path: str) -> list[dict[str, Any]]:
    """The conversation: at least one message, each checked by its role."""
    if not any_list(value, path):
        raise FieldError(path, "expected at least one message")
    return check_items(message, bounded_list(value, path), path)


def message(value: Any, path: str) -> dict[str, Any]:
    checked: dict[str, Any] = MESSAGE(value, path)
    if checked["role"] == "assistant":
        if not checked.keys() & SAYS_SOMETHING:
            raise FieldError(f"{path}.content", "this field is required if there are no tool calls")
        checked.setdefault("content", None)
        if not checked.get("tool_calls", True):
            del checked["tool_calls"]
    return checked


MESSAGE = typed(ROLES, "a role", key="role")
