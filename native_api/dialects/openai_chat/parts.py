"""The content of messages, as the vendors of OpenAI's family take it. Sources, read 2026-11:

https://platform.openai.com/docs/api-reference/chat/create (`file` by data or id),
https://docs.mistral.ai/capabilities/document_ai (`document_url`), https://docs.z.ai/guides/vlm and
https://docs.perplexity.ai/guides/file-attachments (`file_url`),
https://openrouter.ai/docs/features/multimodal/pdfs (a URL in `file_data`),
https://docs.vllm.ai/en/latest/features/multimodal_inputs (`video_url`, `audio_url`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.parts import (
    SEE_NEXT_MESSAGE,
    DataURL,
    correct_image,
    list_parts,
    parse_data_url,
    read_breakpoint,
    read_cache_control,
    read_file_data,
    read_text,
)
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.dialects.shared.unknown_members import BREAKPOINT, describe_member
from native_api.exceptions import UnsupportedField
from native_api.types import Json, Quirks

TEXT_MEMBERS: Final = frozenset({"type", "text"})
CACHE_MARKS: Final = frozenset({"cache_control", "prompt_cache_breakpoint"})
BREAKPOINT_FIELD: Final = "messages.prompt_cache_breakpoint"
"""The name of OpenAI's breakpoint among what a vendor does not support."""
URL_PARTS: Final = ("video_url", "audio_url")
"""Parts that OpenAI does not have."""
AUDIO_FORMATS: Final = {
    "wav": "wav", "x-wav": "wav", "wave": "wav", "mpeg": "mp3", "mp3": "mp3",
}  # fmt: skip
"""Second half of a media type -> `format` of `input_audio`."""


class PartTranslator:
    """Translates parts for one vendor."""

    __slots__ = ("_breakpoints", "_keeps_cache_control", "_quirks", "omitted")

    def __init__(self, quirks: Quirks, breakpoints: bool) -> None:
        self.omitted: set[str] = set()
        self._quirks = quirks
        self._keeps_cache_control = "cache_control" in quirks.extensions
        self._breakpoints = breakpoints

    def build_content(self, message: Mapping[str, Any], path: str) -> Any:
        """The content of a message that is not the model's."""
        content = message.get("content")
        blocks = read_own_blocks(message, "openai")
        if not isinstance(content, list) and not blocks:
            return content
        return self._join_parts([*self._build_parts(list_parts(message), path), *blocks])

    def build_answer(self, message: Mapping[str, Any]) -> Any:
        """The content of the model's own message.

        A refusal among its parts becomes text for vendors that take no parts.
        """
        content = message.get("content")
        if not isinstance(content, list):
            return content
        parts = [part if self._quirks.text_parts else _as_text(part) for part in content]
        return self._join_parts([self._mark_cache(part) for part in parts])

    def build_result(self, message: Mapping[str, Any], path: str) -> tuple[Any, list[Json]]:
        """The text of a tool's result, and its other parts."""
        content = message.get("content")
        if not isinstance(content, list):
            return content, []
        parts = self._build_parts(content, path)
        texts = [part for part in parts if part["type"] == "text"]
        files = [part for part in parts if part["type"] != "text"]
        return (self._join_parts(texts) if texts else SEE_NEXT_MESSAGE), files

    def _build_parts(self, content: list[Json], path: str) -> list[Json]:
        return [
            self.build_part(part, f"{path}.content[{index}]") for index, part in enumerate(content)
        ]

    def _join_parts(self, parts: list[Json]) -> Any:
        """The parts, or one string for vendors that take text only as a string."""
        if self._quirks.text_parts or any(part["type"] != "text" for part in parts):
            return parts
        for name in {name for part in parts for name in part} - TEXT_MEMBERS:
            self.omitted.add(describe_member("messages.content", name))
        return read_text({"content": parts})

    def build_part(self, part: Json, path: str) -> Json:
        if part["type"] == "file":
            return self._build_document(part, path)
        if part["type"] == "image_url":
            part = correct_image(part)
        elif part["type"] in URL_PARTS:
            part = self._build_url_part(part, path)
        return self._mark_cache(part)

    def _build_url_part(self, part: Json, path: str) -> Json:
        """A `video_url` or `audio_url`, as vLLM and others take them.

        For vendors that have only `input_audio`, inline sound is sent as that.
        """
        kind = part["type"]
        if f"messages.{kind}" not in self._quirks.unsupported:
            return part
        inline = parse_data_url(part[kind]["url"])
        subtype = inline.media_type.partition("/")[2] if inline else ""
        if kind == "audio_url" and inline and subtype in AUDIO_FORMATS:
            others = {name: value for name, value in part.items() if name != kind}
            audio = {"data": inline.data, "format": AUDIO_FORMATS[subtype]}
            return {**others, "type": "input_audio", "input_audio": audio}
        raise UnsupportedField(f"{path}.{kind}", f"this provider takes no {kind!r} parts")

    def _mark_cache(self, part: Json) -> Json:
        """Keep `cache_control` and OpenAI's breakpoint, replace one by the other, or drop them.

        Vendors that take neither cache by themselves.
        """
        if CACHE_MARKS.isdisjoint(part):
            return part
        unmarked = {name: value for name, value in part.items() if name not in CACHE_MARKS}
        if self._keeps_cache_control:
            mark = read_cache_control(part)
            return {**unmarked, "cache_control": mark} if mark else unmarked
        written = part.get("prompt_cache_breakpoint")
        if self._breakpoints:
            written = read_breakpoint(part)
        elif written and BREAKPOINT_FIELD in self._quirks.unsupported:
            self.omitted.add(BREAKPOINT)
            written = None
        return {**unmarked, "prompt_cache_breakpoint": written} if written else unmarked

    def _build_document(self, part: Json, path: str) -> Json:
        file = part["file"]
        kind = self._quirks.file_part
        if kind == "file":
            return self._mark_cache({**part, "file": self._build_file(file, path)})
        if file.get("file_id"):
            if kind == "document_url":
                return {"type": "file", "file_id": file["file_id"]}
            raise UnsupportedField(
                f"{path}.file.file_id", "this provider takes files by URL or inline"
            )
        url = file.get("file_url") or _build_data_url(
            read_file_data(file, f"{path}.file.file_data")
        )
        if url.startswith("data:image/"):
            return {"type": "image_url", "image_url": {"url": url}}
        if kind == "file_url":
            return {"type": "file_url", "file_url": {"url": url}}
        name = {"document_name": file["filename"]} if file.get("filename") else {}
        return {"type": "document_url", "document_url": url, **name}

    def _build_file(self, file: Mapping[str, Any], path: str) -> Json:
        """OpenAI's own `file`, which has no member for a URL."""
        if not file.get("file_url"):
            return {name: value for name, value in file.items() if name != "file_url"}
        if "file_url" not in self._quirks.extensions:
            raise UnsupportedField(
                f"{path}.file.file_url", "this provider takes files inline or by id"
            )
        rest = {name: value for name, value in file.items() if name != "file_url"}
        return {**rest, "file_data": file["file_url"]}


def _as_text(part: Json) -> Json:
    return {"type": "text", "text": part["refusal"]} if part["type"] == "refusal" else part


def _build_data_url(data: DataURL | None) -> str:
    return f"data:{data.media_type};base64,{data.data}" if data else ""
