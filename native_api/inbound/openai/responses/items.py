"""The items of `input`, and the parts of their contents: which kinds there are, and their members.
What a kind means is up to providers, and to `unify`.

Source: `ResponseInputItemParam` of openai-python 3.57 (read 2026-11). Items and parts of other
types go on as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.inbound.checks import (
    Check,
    FieldError,
    any_list,
    any_object,
    anything,
    boolean,
    one_of,
    string,
)
from native_api.inbound.openai.responses.tool_shapes import TOOLS
from native_api.inbound.shapes import Items, Kinds, Shape, TextOr

REFERENCE: Final = "item_reference"

BREAKPOINT: Final = Shape({"mode": string, "ttl": string})
TEXT: Final = Shape(
    {
        "type": string,
        "text": string,
        "annotations": any_list,
        "logprobs": any_list,
        "prompt_cache_breakpoint": BREAKPOINT,
    },
    ("text",),
)
IMAGE: Final = Shape(
    {
        "type": string,
        "image_url": string,
        "file_id": string,
        "detail": string,
        "prompt_cache_breakpoint": BREAKPOINT,
    }
)
FILE: Final = Shape(
    {
        "type": string,
        "file_data": string,
        "file_id": string,
        "file_url": string,
        "filename": string,
        "detail": string,
        "prompt_cache_breakpoint": BREAKPOINT,
    }
)
SOUND: Final = Shape(
    {
        "type": string,
        "input_audio": Shape({"data": string, "format": string}, ("data", "format")),
        "prompt_cache_breakpoint": BREAKPOINT,
    },
    ("input_audio",),
)
REFUSAL: Final = Shape({"type": string, "refusal": string}, ("refusal",))
PARTS: Final = Kinds(
    {
        "input_text": TEXT,
        "output_text": TEXT,
        "text": TEXT,
        "summary_text": TEXT,
        "reasoning_text": TEXT,
        "refusal": REFUSAL,
        "input_image": IMAGE,
        "computer_screenshot": IMAGE,
        "input_file": FILE,
        "input_audio": SOUND,
    }
)
CONTENT: Final = TextOr(Items(PARTS), list, "a string or a list of parts")

ROLES: Final = ("user", "assistant", "system", "developer")
SAFETY_CHECKS: Final = any_list


def _item(members: Mapping[str, Check], *required: str) -> Shape:
    """An item. What may be the same in all of them need not be repeated."""
    return Shape({"type": string, "id": string, "status": string, **members}, required)


def _call(members: Mapping[str, Check], *required: str) -> Shape:
    """A call, or what came of one."""
    return _item({"call_id": string, "caller": any_object, **members}, *required)


ITEM_SHAPES: Final[Mapping[str, Shape]] = {
    "message": _item(
        {"role": one_of(*ROLES), "content": CONTENT, "phase": string}, "role", "content"
    ),
    REFERENCE: _item({}, "id"),
    # --- calls of the client's tools, and their results ---
    "function_call": _call(
        {"name": string, "arguments": string, "namespace": string, "async": boolean},
        "call_id", "name", "arguments",
    ),
    "function_call_output": _call(
        {"output": CONTENT, "name": string, "namespace": string}, "output"
    ),
    "custom_tool_call": _call(
        {"name": string, "input": string, "namespace": string, "async": boolean},
        "call_id", "name", "input",
    ),
    "custom_tool_call_output": _call({"output": CONTENT, "name": string}, "call_id", "output"),
    "local_shell_call": _call({"action": any_object}, "action"),
    "local_shell_call_output": _call({"output": string}, "output"),
    "shell_call": _call({"action": any_object, "environment": any_object}, "call_id", "action"),
    "shell_call_output": _call({"output": any_list, "max_output_length": anything}, "call_id"),
    "apply_patch_call": _call({"operation": any_object}, "call_id", "operation"),
    "apply_patch_call_output": _call({"output": string}, "call_id"),
    "computer_call": _call(
        {"action": any_object, "actions": any_list, "pending_safety_checks": SAFETY_CHECKS},
        "call_id",
    ),
    "computer_call_output": _call(
        {"output": IMAGE, "acknowledged_safety_checks": SAFETY_CHECKS}, "call_id", "output"
    ),
    "tool_search_call": _call({"arguments": anything, "execution": string}),
    "tool_search_output": _call({"tools": TOOLS, "execution": string}, "tools"),
    # --- what the provider's own tools did ---
    "web_search_call": _item({"action": any_object}),
    "file_search_call": _item({"queries": any_list, "results": any_list}),
    "code_interpreter_call": _item(
        {"code": string, "container_id": string, "outputs": any_list}
    ),
    "image_generation_call": _item(
        {
            "result": string, "action": string, "background": string, "error": any_object,
            "output_format": string, "quality": string, "revised_prompt": string, "size": string,
            "svg_usage": any_object,
        }
    ),
    "mcp_list_tools": _item({"server_label": string, "tools": any_list, "error": anything}),
    "mcp_approval_request": _item({"arguments": string, "name": string, "server_label": string}),
    "mcp_approval_response": _item(
        {"approval_request_id": string, "approve": boolean, "reason": string}
    ),
    "mcp_call": _item(
        {
            "arguments": string, "name": string, "server_label": string, "error": anything,
            "approval_request_id": string, "output": string,
        }
    ),
    "program": _item({"call_id": string, "code": string, "fingerprint": string}),
    "program_output": _item({"call_id": string, "result": string}),
    # --- reasoning and state ---
    "reasoning": _item(
        {"summary": Items(PARTS), "content": Items(PARTS), "encrypted_content": string}
    ),
    "compaction": _item({"encrypted_content": string}),
    "compaction_trigger": _item({}),
    "additional_tools": _item({"role": string, "tools": TOOLS}, "tools"),
    "configuration_update": _item({"reasoning": any_object, "text": any_object}),
}  # fmt: skip
"""Type of an item -> its members."""


class InputItems(Kinds):
    """One item. A message and a reference may lack their type."""

    def find_kind(self, value: Mapping[str, Any], path: str) -> str:
        kind = value.get("type")
        if kind is not None:
            return string(kind, f"{path}.type")
        if value.get("role") is not None:
            return "message"
        if value.get("id") is not None:
            return REFERENCE
        raise FieldError(f"{path}.type", "this field is required; a message has a role")


INPUT_ITEM: Final = InputItems(ITEM_SHAPES)
INPUT: Final = TextOr(Items(INPUT_ITEM), list, "a string or a list of items")
