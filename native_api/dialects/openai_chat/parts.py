"""The content of messages as one vendor of OpenAI's family takes it. Sources, read 2026-11:

https://platform.openai.com/docs/api-reference/chat/create (`file` by data or id),
https://docs.mistral.ai/capabilities/document_ai (`document_url`), https://docs.z.ai/guides/vlm and
https://docs.perplexity.ai/guides/file-attachments (`file_url`),
https://openrouter.ai/docs/features/multimodal/pdfs (an address in place of `file_data`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.parts import DataURL, read_file_data, read_text
from native_api.exceptions import UnsupportedField
from native_api.types import Json, Quirks

SEE_BELOW: Final = "See the next message."
"""What a tool's result says that is nothing but files."""


class Parts:
    """How one vendor takes parts."""

    __slots__ = ("_breakpoints", "_keeps_markers", "_quirks")

    def __init__(self, quirks: Quirks, breakpoints: bool) -> None:
        self._quirks = quirks
        self._keeps_markers = "cache_control" in quirks.extensions
        self._breakpoints = breakpoints

    def content(self, message: Mapping[str, Any], place: str) -> Any:
        """The content of a message that is not the model's."""
        content = message.get("content")
        if not isinstance(content, list):
            return content
        return self._joined(
            [
                self.part(part, f"{place}.content[{position}]")
                for position, part in enumerate(content)
            ]
        )

    def answer(self, message: Mapping[str, Any]) -> Any:
        """The content of the model's own message; a refusal among its parts is text where parts are
        not taken."""
        content = message.get("content")
        if not isinstance(content, list):
            return content
        plain = [part if self._quirks.text_parts else _as_text(part) for part in content]
        return self._joined([self._marked(part) for part in plain])

    def result(self, message: Mapping[str, Any], place: str) -> tuple[Any, list[Json]]:
        """The text of a tool's result, and the parts that are no text."""
        content = message.get("content")
        if not isinstance(content, list):
            return content, []
        parts = [
            self.part(part, f"{place}.content[{position}]") for position, part in enumerate(content)
        ]
        texts = [part for part in parts if part["type"] == "text"]
        files = [part for part in parts if part["type"] != "text"]
        return (self._joined(texts) if texts else SEE_BELOW), files

    def _joined(self, parts: list[Json]) -> Any:
        """Parts as they are, or as one string for vendors that take text in no other way."""
        if self._quirks.text_parts or any(part["type"] != "text" for part in parts):
            return parts
        return read_text({"content": parts})

    def part(self, part: Mapping[str, Any], place: str) -> Json:
        return self._document(part, place) if part["type"] == "file" else self._marked(part)

    def _marked(self, part: Mapping[str, Any]) -> Json:
        """`cache_control` where the vendor takes it, as OpenAI's own marker where the model does;
        the others cache by themselves."""
        if self._keeps_markers or "cache_control" not in part:
            return dict(part)
        told = {name: value for name, value in part.items() if name != "cache_control"}
        return (
            {**told, "prompt_cache_breakpoint": {"mode": "explicit"}} if self._breakpoints else told
        )

    def _document(self, part: Mapping[str, Any], place: str) -> Json:
        file = part["file"]
        kind = self._quirks.file_part
        if kind == "file":
            return self._marked({**part, "file": self._file(file, place)})
        if file.get("file_id"):
            if kind == "document_url":
                return {"type": "file", "file_id": file["file_id"]}
            raise UnsupportedField(
                f"{place}.file.file_id", "this provider takes files by address or inline"
            )
        url = file.get("file_url") or _address(read_file_data(file, f"{place}.file.file_data"))
        if url.startswith("data:image/"):
            return {"type": "image_url", "image_url": {"url": url}}
        if kind == "file_url":
            return {"type": "file_url", "file_url": {"url": url}}
        named = {"document_name": file["filename"]} if file.get("filename") else {}
        return {"type": "document_url", "document_url": url, **named}

    def _file(self, file: Mapping[str, Any], place: str) -> Json:
        """OpenAI's own `file`, which has no place for an address."""
        if not file.get("file_url"):
            return dict(file)
        if "file_url" not in self._quirks.extensions:
            raise UnsupportedField(
                f"{place}.file.file_url", "this provider takes files inline or by id"
            )
        rest = {name: value for name, value in file.items() if name != "file_url"}
        return {**rest, "file_data": file["file_url"]}


def _as_text(part: Json) -> Json:
    return {"type": "text", "text": part["refusal"]} if part["type"] == "refusal" else part


def _address(inline: DataURL | None) -> str:
    return f"data:{inline.media_type};base64,{inline.data}" if inline else ""
