"""Builds one reply from the meaning of Bedrock's blocks, as unified deltas. Rules:

1. A complete reply adds whole blocks (see `reply`), a stream adds their pieces (see `blocks`); both
   use this builder, so that they agree.
2. Reasoning is delivered twice: as text for people (`reasoning_content`), and as what Bedrock wants
   back on the next turn (`reasoning_details`).
3. Blocks without a unified form, such as those of Amazon's own tools, are kept whole in
   `provider_content`; so are the fields of a reply that come only on request, such as a guardrail's
   trace. See `shared.replay` for the offsets that say where they stood.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (read
2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.bedrock.replay import WIRE
from native_api.dialects.shared.annotations import build_citation
from native_api.dialects.shared.call_extras import add_extras
from native_api.dialects.shared.deltas import extend_delta
from native_api.dialects.shared.failure_reasons import is_failure
from native_api.dialects.shared.replay import ReplyPosition
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.exceptions import UpstreamError
from native_api.types import Json

FINISH_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
"""Bedrock's `stopReason` -> OpenAI's `finish_reason`."""


CALL_MEMBERS: Final = frozenset({"toolUseId", "name", "input", "type"})
"""The members of a `toolUse` block that have a unified form."""


class ReplyBuilder:
    """The state of one reply. Each `add_…` returns a delta, `{}` if there is nothing to tell."""

    def __init__(self) -> None:
        self.position = ReplyPosition(WIRE)
        self._image_count = 0
        self._annotations: list[Json] = []

    def add_text(self, text: str) -> Json:
        self.position.length += len(text)
        return {"content": text} if text else {}

    def add_citations(self, citations: list[Json], start: int) -> None:
        """Add the citations of the text between `start` and here. They are delivered at the end
        (see `shared.deltas`)."""
        end = self.position.length
        self._annotations += [build_annotation(citation, start, end) for citation in citations]

    def add_reasoning(self, text: str, signature: str | None) -> Json:
        """A new reasoning item. A stream continues it with `extend_reasoning`."""
        members: Json = {"type": "reasoning.text", "text": text}
        if signature:
            members["signature"] = signature
        delta = self._add_reasoning_item(members)
        return {"reasoning_content": text, **delta} if text else delta

    def extend_reasoning(self, index: int, piece: Mapping[str, Any]) -> Json:
        members = {name: piece[name] for name in ("text", "signature") if piece.get(name)}
        if not members:
            return {}
        delta = {"reasoning_details": [{"index": index, **members}]}
        return {"reasoning_content": members["text"], **delta} if "text" in members else delta

    def add_encrypted_reasoning(self, data: str) -> Json:
        return self._add_reasoning_item({"type": "reasoning.encrypted", "data": data})

    def _add_reasoning_item(self, members: Json) -> Json:
        position = self.position
        item = {**members, "format": WIRE, "index": position.reasoning, **position.offsets()}
        position.reasoning += 1
        return {"reasoning_details": [item]}

    def add_call(self, use: Mapping[str, Any], arguments: str) -> Json:
        """A new call. A call of the answer tool is the text of the reply."""
        if use.get("name") == ANSWER_TOOL:
            return self.add_text(arguments)
        index = self.position.calls
        self.position.calls += 1
        function = {"name": use.get("name") or "", "arguments": arguments}
        call = {
            "index": index,
            "id": use.get("toolUseId") or "",
            "type": "function",
            "function": function,
        }
        return {"tool_calls": [add_extras(call, WIRE, use, CALL_MEMBERS)]}

    def add_image(self, image: Mapping[str, Any]) -> Json:
        """An image that the model made."""
        data = (image.get("source") or {}).get("bytes")
        if not data:
            return self.add_native_block({"image": dict(image)})
        url = f"data:image/{image.get('format') or 'png'};base64,{data}"
        index = self._image_count
        self._image_count += 1
        return {"images": [{"type": "image_url", "index": index, "image_url": {"url": url}}]}

    def add_native_block(self, block: Json) -> Json:
        """A block that has no unified form."""
        item = self.position.build_item(block, self.position.offsets())
        return {"provider_content": [item]}

    def _add_reply_field(self, block: Json) -> Json:
        """A field that describes the reply. It stands nowhere in the text, so that it has no
        offsets."""
        item = {"format": WIRE, "index": self.position.blocks, "block": block}
        self.position.blocks += 1
        return {"provider_content": [item]}

    def finish(self, stop_reason: str | None, reply_fields: list[Json]) -> tuple[Json, str]:
        """The last delta and the finish reason. Raises UpstreamError if there is no answer."""
        if is_failure(stop_reason):
            raise UpstreamError(f"The provider failed to write an answer: {stop_reason}.")
        position = self.position
        finish_reason = self._map_finish_reason(stop_reason)
        delta: Json = {"annotations": self._annotations} if self._annotations else {}
        if finish_reason == "content_filter" and not (position.length or position.calls):
            delta["refusal"] = f"The provider stopped the answer: {stop_reason}."
        elif self._is_empty():
            delta["content"] = ""
        for field in reply_fields:
            extend_delta(delta, self._add_reply_field(field))
        return delta, finish_reason

    def _is_empty(self) -> bool:
        position = self.position
        return not (
            position.length
            or position.calls
            or position.reasoning
            or position.blocks
            or self._image_count
        )

    def _map_finish_reason(self, stop_reason: str | None) -> str:
        """OpenAI's word. Some models call a tool and report `end_turn`."""
        mapped = FINISH_REASONS.get(stop_reason or "", "stop")
        if mapped in ("stop", "tool_calls"):
            return "tool_calls" if self.position.calls else "stop"
        return mapped


def build_annotation(citation: Json, start: int, end: int) -> Json:
    """A citation as OpenAI's `url_citation`, the only kind that strict clients accept. The members
    that it has no name for are added as they came."""
    source = str(citation.get("source") or "")
    web = (citation.get("location") or {}).get("web") or {}
    url = web.get("url") or (source if source.startswith(("https://", "http://")) else "")
    places = {"start_index": start, "end_index": end}
    return build_citation({**citation, "url": url, **places}, start, end)
