"""Calls that the client runs, and what came of them, as unified calls and tools' messages.

Some of OpenAI's tools have items of their own: shells, patches, computers, the search of tools. In
a conversation that goes on elsewhere they are calls of a function of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_api.dialects.shared.json_values import encode
from native_api.inbound.checks import FieldError
from native_api.inbound.openai.responses.unify_parts import unify_content
from native_api.inbound.translation import Report
from native_api.types import Json

FUNCTION_NAMES: Final[Mapping[str, str]] = {
    "local_shell_call": "local_shell",
    "shell_call": "shell",
    "apply_patch_call": "apply_patch",
    "computer_call": "computer",
    "tool_search_call": "tool_search",
}
"""Type of a call with an item of its own -> the name of the function."""

FRAME: Final = frozenset({"id", "type", "status", "call_id", "caller", "execution"})
"""Members of a call that are not its arguments."""


HOSTED_ITEMS: Final = frozenset(
    {
        "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call",
        "mcp_list_tools", "mcp_approval_request", "mcp_call", "program", "program_output",
    }
)  # fmt: skip
"""What tools did that OpenAI runs itself."""


def is_hosted(item: Json) -> bool:
    """Whether an item says what OpenAI itself did. It may have searched for tools, too."""
    if item["type"] in ("tool_search_call", "tool_search_output"):
        return item.get("execution") != "client"
    return item["type"] in HOSTED_ITEMS


def write_as_function(item: Json) -> Json:
    """The call of one of OpenAI's tools as a `function_call`."""
    arguments = {name: value for name, value in item.items() if name not in FRAME}
    return {
        "type": "function_call",
        "call_id": item.get("call_id") or item.get("id") or "",
        "name": FUNCTION_NAMES[item["type"]],
        "arguments": _dump(arguments),
    }


def build_result(item: Json, path: str, report: Report) -> Json:
    """The tool's message of a result. Raises FieldError."""
    call_id = item.get("call_id") or (item.get("id") if item["type"] in RESULTS else None)
    if not call_id:
        raise FieldError(f"{path}.call_id", "this field is required")
    read = RESULTS.get(item["type"], _read_output)
    message = {"role": "tool", "tool_call_id": call_id, "content": read(item, path, report)}
    if item["type"] == "apply_patch_call_output" and item.get("status") == "failed":
        message["is_error"] = True
    return message


def _read_output(item: Json, path: str, report: Report) -> Any:
    return unify_content(item.get("output"), f"{path}.output", report)


def _read_patch(item: Json, path: str, report: Report) -> str:
    return str(item.get("output") or item.get("status") or "")


def _read_screen(item: Json, path: str, report: Report) -> Any:
    screen = {**item["output"], "type": "computer_screenshot"}
    return unify_content([screen], f"{path}.output", report)


def _read_shell(item: Json, path: str, report: Report) -> str:
    return _dump(item.get("output") or [])


def _read_found(item: Json, path: str, report: Report) -> str:
    """The names of the tools that a search found. Their definitions are among the tools."""
    names = [tool.get("name") or tool.get("type") for tool in item.get("tools") or ()]
    return _dump(names)


def _dump(value: Any) -> str:
    return encode(value).decode()


RESULTS: Final[Mapping[str, Callable[[Json, str, Report], Any]]] = {
    "local_shell_call_output": _read_output,
    "shell_call_output": _read_shell,
    "apply_patch_call_output": _read_patch,
    "computer_call_output": _read_screen,
    "tool_search_output": _read_found,
}
"""Type of a result of one of OpenAI's tools -> what reads its content."""

ALL_RESULTS: Final = RESULTS.keys() | {"function_call_output", "custom_tool_call_output"}
