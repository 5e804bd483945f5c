"""Refuses files that are not inline, for hosts of Claude that fetch none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from native_api.exceptions import UnsupportedField


def refuse_remote_parts(messages: Sequence[Mapping[str, Any]], reason: str) -> None:
    """Raise UnsupportedField for a part of unified messages whose file is not inline."""
    for message_index, message in enumerate(messages):
        content = message.get("content")
        for index, part in enumerate(content if isinstance(content, list) else ()):
            url = (part.get("image_url") or {}).get("url") or "data:"
            file = part.get("file") or {}
            if not url.startswith("data:") or file.keys() & {"file_url", "file_id"}:
                path = f"messages[{message_index}].content[{index}].{part['type']}"
                raise UnsupportedField(path, reason)


def refuse_remote_files(turns: Sequence[Mapping[str, Any]], reason: str) -> None:
    """Raise UnsupportedField for a block of Anthropic's turns whose file is not inline."""
    for index, turn in enumerate(turns):
        _refuse_in(turn.get("content"), f"messages[{index}].content", reason)


def _refuse_in(blocks: Any, path: str, reason: str) -> None:
    for index, block in enumerate(blocks if isinstance(blocks, list) else ()):
        source = block.get("source") if isinstance(block, dict) else None
        if isinstance(source, dict) and source.get("type") in ("url", "file"):
            raise UnsupportedField(f"{path}[{index}].source", reason)
        if isinstance(block, dict) and block.get("type") == "tool_result":
            _refuse_in(block.get("content"), f"{path}[{index}].content", reason)
