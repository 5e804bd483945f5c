"""The history's tool calls and results as text, for a request that forbids calls.

Converse refuses such blocks if the request offers no tools, and has no way to offer tools that must
not be called.
"""

from __future__ import annotations

from collections.abc import Mapping

from native_api.dialects.shared.json_values import dump_json
from native_api.types import Json


def write_as_text(turns: list[Json], tool_names: Mapping[str, str]) -> list[Json]:
    """The turns without tool blocks. `tool_names` maps the id of a call to the name of its tool."""
    return [
        {
            "role": turn["role"],
            "content": [
                new_block
                for block in turn["content"]
                for new_block in _write_block(block, tool_names)
            ],
        }
        for turn in turns
    ]


def _write_block(block: Json, tool_names: Mapping[str, str]) -> list[Json]:
    if "toolUse" in block:
        use = block["toolUse"]
        return [{"text": f"Called {use['name']} with {dump_json(use['input'])}"}]
    if "toolResult" in block:
        result = block["toolResult"]
        kind = "Error" if result.get("status") == "error" else "Result"
        tool_name = tool_names.get(result["toolUseId"], "the call")
        return [
            {"text": f"{kind} of {tool_name}:"},
            *(_write_item(item) for item in result["content"]),
        ]
    return [block]


def _write_item(item: Json) -> Json:
    return {"text": dump_json(item["json"])} if "json" in item else item
