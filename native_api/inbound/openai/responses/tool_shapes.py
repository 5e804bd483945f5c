"""The tools of Responses and the choice of one: which kinds there are, and their members.

Source: `ToolParam` of openai-python 3.57 (read 2026-11). Tools of other types go on as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from native_api.inbound.checks import (
    Check,
    any_list,
    any_object,
    anything,
    boolean,
    integer,
    one_of,
    string,
)
from native_api.inbound.openai.chat_tools import MAX_TOOLS, MODES, mode_or_object
from native_api.inbound.shapes import Items, Kinds, Shape

CALLED: Final[Mapping[str, Check]] = {
    "type": string,
    "name": string,
    "description": string,
    "defer_loading": boolean,
    "allowed_callers": any_list,
    "async": boolean,
}
FUNCTION: Final = Shape(
    {**CALLED, "parameters": any_object, "strict": boolean, "output_schema": any_object},
    ("name",),
)
CUSTOM: Final = Shape({**CALLED, "format": any_object}, ("name",))
IN_NAMESPACE: Final = Items(Kinds({"function": FUNCTION, "custom": CUSTOM}), MAX_TOOLS)


def _hosted(members: Mapping[str, Check]) -> Shape:
    return Shape({"type": string, "allowed_callers": any_list, **members})


LOCATION: Final = Shape(
    {"type": string, "city": string, "country": string, "region": string, "timezone": string}
)
WEB_SEARCH: Final = _hosted(
    {
        "search_context_size": one_of("low", "medium", "high"),
        "user_location": LOCATION,
        "filters": any_object,
        "external_web_access": boolean,
        "search_content_types": any_list,
    }
)
TOOL_SHAPES: Final[Mapping[str, Shape]] = {
    "function": FUNCTION,
    "custom": CUSTOM,
    "namespace": Shape(
        {"type": string, "name": string, "description": string, "tools": IN_NAMESPACE},
        ("name", "tools"),
    ),
    "web_search": WEB_SEARCH,
    "web_search_2025_08_26": WEB_SEARCH,
    "web_search_preview": WEB_SEARCH,
    "web_search_preview_2025_03_11": WEB_SEARCH,
    "file_search": _hosted(
        {
            "vector_store_ids": any_list, "filters": any_object, "max_num_results": integer,
            "ranking_options": any_object,
        }
    ),
    "computer": _hosted({}),
    "computer_use_preview": _hosted(
        {"display_height": integer, "display_width": integer, "environment": string}
    ),
    "mcp": _hosted(
        {
            "server_label": string, "allowed_tools": anything, "authorization": string,
            "connector_id": string, "defer_loading": boolean, "headers": any_object,
            "require_approval": anything, "server_description": string, "server_url": string,
            "tunnel_id": string,
        }
    ),
    "code_interpreter": _hosted({"container": anything}),
    "image_generation": _hosted(
        {
            "action": string, "background": string, "complexity": string, "frame_count": integer,
            "frame_duration_ms": integer, "input_fidelity": string,
            "input_image_mask": any_object, "model": string, "moderation": string,
            "output_compression": integer, "output_format": string, "partial_images": integer,
            "quality": string, "size": string, "svg": any_object,
        }
    ),
    "local_shell": _hosted({}),
    "shell": _hosted({"environment": any_object}),
    "apply_patch": _hosted({}),
    "tool_search": _hosted(
        {"description": string, "execution": string, "parameters": anything}
    ),
    "programmatic_tool_calling": _hosted({}),
}  # fmt: skip
"""Type of a tool -> its members."""

TOOLS: Final = Items(Kinds(TOOL_SHAPES), MAX_TOOLS)

NAMED: Final = Shape({"type": string, "name": string}, ("name",))
CHOICE: Final = Kinds(
    {
        "function": NAMED,
        "custom": NAMED,
        "mcp": Shape({"type": string, "server_label": string, "name": string}, ("server_label",)),
        "allowed_tools": Shape(
            {
                "type": string,
                "mode": one_of("auto", "required"),
                "tools": Items(Shape({"type": string}), MAX_TOOLS),
            },
            ("mode", "tools"),
        ),
    }
)

tool_choice = mode_or_object(MODES, CHOICE)
