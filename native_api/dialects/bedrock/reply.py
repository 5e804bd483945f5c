"""What a reply's blocks mean, one by one, as unified deltas. A complete reply is its blocks at
once, a stream is them in pieces.

Reasoning comes out twice: as text for people (`reasoning_content`) and as what goes back on the
next turn (`reasoning_details`). Blocks without a unified shape, such as those of Amazon's own
tools, are kept whole in `provider_content`; so is what a reply tells about itself only when asked,
a guardrail's trace for one. See `bedrock_replay` for the numbers that tell where an item stood.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html (read
2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.bedrock.replay import NOT_SENT, WIRE
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.exceptions import UpstreamError
from native_api.types import Json, Usage

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
BROKEN: Final = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Reasons that mean there is no answer, whatever came before."""

SERVER_TOOL: Final = "server_tool_use"


class Reply:
    """The state of one reply: where it stands, and how many items of each kind it has."""

    def __init__(self) -> None:
        self.length = 0
        self.calls = 0
        self._details = 0
        self._kept = 0
        self._images = 0
        self._annotations: list[Json] = []

    def text(self, text: str) -> Json:
        self.length += len(text)
        return {"content": text} if text else {}

    def cite(self, citations: list[Json], start: int) -> None:
        """`start` is where the text that rests on them begins; it ends here. Told at the end, see
        `deltas`."""
        self._annotations += [annotation(citation, start, self.length) for citation in citations]

    def thought(self, text: str, signature: str | None) -> Json:
        """A new reasoning item. A stream goes on with it through `more_thought`."""
        detail: Json = {
            "type": "reasoning.text",
            "text": text,
            "format": WIRE,
            "index": self._details,
            **self._here(),
        }
        if signature:
            detail["signature"] = signature
        self._details += 1
        return (
            {"reasoning_content": text, "reasoning_details": [detail]}
            if text
            else {"reasoning_details": [detail]}
        )

    def more_thought(self, index: int, piece: Mapping[str, Any]) -> Json:
        told = {name: piece[name] for name in ("text", "signature") if piece.get(name)}
        if not told:
            return {}
        detail = {"reasoning_details": [{"index": index, **told}]}
        return {"reasoning_content": told["text"], **detail} if "text" in told else detail

    def hidden(self, data: str) -> Json:
        detail = {
            "type": "reasoning.encrypted",
            "data": data,
            "format": WIRE,
            "index": self._details,
            **self._here(),
        }
        self._details += 1
        return {"reasoning_details": [detail]}

    def call(self, use: Mapping[str, Any], arguments: str) -> Json:
        """A new call, or the answer itself where it calls the forced tool."""
        if use.get("name") == ANSWER_TOOL:
            return self.text(arguments)
        index = self.calls
        self.calls += 1
        function = {"name": use.get("name") or "", "arguments": arguments}
        call = {
            "index": index,
            "id": use.get("toolUseId") or f"call_{index}",
            "type": "function",
            "function": function,
        }
        return {"tool_calls": [call]}

    def image(self, image: Mapping[str, Any]) -> Json:
        """An image that the model made."""
        data = (image.get("source") or {}).get("bytes")
        if not data:
            return self.kept({"image": dict(image)})
        url = f"data:image/{image.get('format') or 'png'};base64,{data}"
        self._images += 1
        return {
            "images": [{"type": "image_url", "index": self._images - 1, "image_url": {"url": url}}]
        }

    def kept(self, block: Json) -> Json:
        told: Json = {"format": WIRE, "index": self._kept, "block": block}
        if not NOT_SENT & block.keys():
            told |= self._here()
            if self._details:
                told["reasoning"] = self._details
        self._kept += 1
        return {"provider_content": [told]}

    def _here(self) -> Json:
        here = {"at": self.length, "calls": self.calls}
        return {name: number for name, number in here.items() if number}

    def end(self, reason: str | None, about: list[Json]) -> tuple[Json, str]:
        """The last delta and the finish reason. Raises UpstreamError where there is no answer."""
        if reason in BROKEN:
            raise UpstreamError(f"The provider failed to write an answer: {reason}.")
        meant = self._finish_reason(reason)
        delta: Json = {"annotations": self._annotations} if self._annotations else {}
        if meant == "content_filter" and not (self.length or self.calls):
            delta["refusal"] = f"The provider stopped the answer: {reason}."
        elif not (self.length or self.calls or self._details or self._kept or self._images):
            delta["content"] = ""
        for told in about:
            join(delta, self.kept(told))
        return delta, meant

    def _finish_reason(self, reason: str | None) -> str:
        """Some models end their turn with a call and call it the end of the turn."""
        meant = FINISH_REASONS.get(reason or "", "stop")
        if meant in ("stop", "tool_calls"):
            return "tool_calls" if self.calls else "stop"
        return meant


def join(message: Json, delta: Json) -> None:
    """Add a delta to a message, or to another delta: lists and texts grow."""
    for name, value in delta.items():
        present = message.get(name)
        message[name] = value if present is None else present + value


def told_of(reply: Reply, block: Json) -> Json:
    """The delta that one whole block means. Members that are null are as good as absent."""
    use = block.get("toolUse")
    if block.get("text") is not None:
        return reply.text(block["text"])
    if isinstance(use, dict) and use.get("type") != SERVER_TOOL:
        return reply.call(use, parse_call_arguments(use.get("input")))
    if isinstance(block.get("reasoningContent"), dict):
        return _reasoning(reply, block)
    if isinstance(block.get("citationsContent"), dict):
        return _cited(reply, block["citationsContent"])
    return (
        reply.image(block["image"]) if isinstance(block.get("image"), dict) else reply.kept(block)
    )


def parse_call_arguments(given: Any) -> str:
    """A call's arguments as text: what is no object is delivered as it is."""
    if isinstance(given, str):
        return given or "{}"
    return dump_json({} if given is None else given)


def _reasoning(reply: Reply, block: Json) -> Json:
    told = block["reasoningContent"]
    text = told.get("reasoningText")
    if isinstance(text, dict):
        return reply.thought(text.get("text") or "", text.get("signature"))
    return (
        reply.hidden(told["redactedContent"]) if told.get("redactedContent") else reply.kept(block)
    )


def _cited(reply: Reply, cited: Json) -> Json:
    start = reply.length
    delta = reply.text("".join(piece.get("text") or "" for piece in cited.get("content") or ()))
    reply.cite(cited.get("citations") or [], start)
    return delta


def annotation(citation: Json, start: int, end: int) -> Json:
    """OpenAI's `url_citation`, the only kind its clients know; what it has no member for stands
    beside, as it came."""
    source = str(citation.get("source") or "")
    web = (citation.get("location") or {}).get("web") or {}
    url = web.get("url") or (source if source.startswith(("https://", "http://")) else "")
    told = {
        "url": url,
        "title": citation.get("title") or "",
        "start_index": start,
        "end_index": end,
    }
    return {"type": "url_citation", "url_citation": {**citation, **told}}


def read_usage(told: Mapping[str, Any]) -> Usage | None:
    """Token counts. Bedrock's `inputTokens` leave cache reads and writes out; ours have them."""
    if "inputTokens" not in told and "outputTokens" not in told:
        return None
    cached = read_count(told, "cacheReadInputTokens") or read_count(
        told, "cacheReadInputTokenCount"
    )
    written = read_count(told, "cacheWriteInputTokens") or read_count(
        told, "cacheWriteInputTokenCount"
    )
    usage = build_usage(
        read_count(told, "inputTokens") + cached + written, read_count(told, "outputTokens")
    )
    usage["prompt_tokens_details"] = {"cached_tokens": cached, "cache_write_tokens": written}
    return usage
