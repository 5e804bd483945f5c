"""The `messages` field. Plain functions check it in one loop: a nested serializer for each message
would take tens of microseconds."""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound.checks import (
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
    shape,
    string,
    typed,
)

CACHE_CONTROL = shape({"type": one_of("ephemeral"), "ttl": string}, required=("type",))
TYPE: Final = {"type": string, "cache_control": CACHE_CONTROL}


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


FILE = shape({"file_data": string, "file_id": string, "file_url": url, "filename": string})
TEXT = shape({**TYPE, "text": string}, required=("text",))
IMAGE = shape(
    {**TYPE, "image_url": shape({"url": url, "detail": string}, required=("url",))},
    required=("image_url",),
)
AUDIO = shape(
    {**TYPE, "input_audio": shape({"data": string, "format": string}, required=("data", "format"))},
    required=("input_audio",),
)
FILE_PART = shape({**TYPE, "file": file}, required=("file",))
REFUSAL = shape({**TYPE, "refusal": string}, required=("refusal",))


def content(**parts: Check) -> Check:
    """A string, or a list of parts of these kinds."""
    part = typed(parts, "a content part")

    def check(value: Any, path: str) -> str | list[Any]:
        if isinstance(value, str):
            return value
        if not isinstance(value, list):
            raise FieldError(path, f"expected a string or a list of parts, not {kind_of(value)}")
        if not value:
            raise FieldError(path, "expected at least one part")
        return check_items(part, bounded_list(value, path), path)

    return check


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
FUNCTION = shape(
    {"name": string, "arguments": string},
    required=("name", "arguments"),
    ignored=("parsed_arguments",),
)
# `index` is what an SDK that put the call together from a stream leaves in it; providers refuse it.
TOOL_CALL = typed(
    {
        "function": shape(
            {"id": string, "type": string, "function": FUNCTION, "extra_content": EXTRA},
            required=("id", "function"),
            ignored=("index",),
        ),
        "custom": shape(
            {
                "id": string,
                "type": string,
                "custom": shape({"name": string, "input": string}, required=("name", "input")),
                "extra_content": EXTRA,
            },
            required=("id", "custom"),
            ignored=("index",),
        ),
    },
    "a tool call",
)

NAMED: Final = {"role": string, "name": string}
IN_PARTS = content(text=TEXT, image_url=IMAGE, input_audio=AUDIO, file=FILE_PART)
ASSISTANT_FIELDS: Final = {
    **NAMED,
    "content": content(text=TEXT, refusal=REFUSAL),
    "tool_calls": list_of(TOOL_CALL),
    "refusal": string,
    "audio": any_object,
    "annotations": any_list,
    "function_call": FUNCTION,
    "reasoning_content": string,
    "reasoning_details": REASONING,
    "provider_content": BLOCKS,
    "images": IMAGES,
}
SAYS_SOMETHING: Final = ASSISTANT_FIELDS.keys() - {"role", "name", "annotations"}

ROLES: Final = {
    "system": shape(
        {**NAMED, "content": content(text=TEXT), "provider_content": BLOCKS}, required=("content",)
    ),
    "developer": shape(
        {**NAMED, "content": content(text=TEXT), "provider_content": BLOCKS}, required=("content",)
    ),
    "user": shape(
        {**NAMED, "content": IN_PARTS, "provider_content": BLOCKS}, required=("content",)
    ),
    # `parsed` is what the SDK's own parser made of `content`: nothing is lost with it.
    "assistant": shape(ASSISTANT_FIELDS, ignored=("parsed",)),
    "tool": shape(
        {
            **NAMED,
            "content": IN_PARTS,
            "tool_call_id": string,
            "is_error": boolean,
            "provider_content": BLOCKS,
        },
        required=("content", "tool_call_id"),
    ),
    "function": shape({**NAMED, "content": string}, required=("name",)),
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
