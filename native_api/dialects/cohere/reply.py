"""Cohere's replies, complete and streamed -> unified ones
(https://docs.cohere.com/reference/chat-stream, read 2026-11).

Rules:
1. Thinking and the tool plan come out twice: as text for people (`reasoning_content`), and as what
   Cohere wants back on the next turn (`reasoning_details`; a plan is a `reasoning.summary`).
2. A citation is one `url_citation` for each of its sources, in the shape that strict clients take,
   whether or not the source has an address; `text` and `source` in it hold the rest. One about
   thinking or the plan is kept in `provider_content`.
3. Positions in a citation count within one content block; ours count within all of the text.
4. `prompt_tokens` and `completion_tokens` are what the model read and wrote; what Cohere charges
   for is `billed_units`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from native_api.dialects.shared.deltas import complete_message
from native_api.dialects.shared.errors import build_error, find_error_detail, read_embedded_error
from native_api.dialects.shared.json_values import join_text
from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.dialects.shared.tools import ANSWER_TOOL
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, Json, Usage

WIRE: Final = "cohere"

FINISH_REASONS: Final = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TIMEOUT": "length",
    "TOOL_CALL": "tool_calls",
}
"""`TIMEOUT`: the answer took longer than Cohere allows and is cut. `ERROR` has no answer. Anything
else is `stop`."""

BLOCKED: Final = 498
"""The status for a request or an answer that holds what is on a list of forbidden words
(https://docs.cohere.com/reference/errors)."""


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError."""
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        raise read_reply_error(body)
    parts = Parts()
    for block in _blocks(message.get("content")):
        parts.block(block)
    parts.rest(message)
    reason = finish_reason(
        body.get("finish_reason"), parts.has_calls, parts.forced, parts.says_something
    )
    choice: Any = {"index": 0, "message": parts.message(), "finish_reason": reason}
    if body.get("logprobs"):
        choice["logprobs"] = build_logprobs(body["logprobs"])
    completion: ChatCompletion = {
        "id": body.get("id") or "",
        "object": "chat.completion",
        "created": 0,
        "model": "",
        "choices": [choice],
    }
    usage = read_usage(body.get("usage"))
    if usage:
        completion["usage"] = usage
    return completion


def _blocks(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or () if isinstance(block, dict)]


def kind_of(block: Json) -> str:
    """A content block's type, also where it is not named."""
    return str(
        block.get("type")
        or ("thinking" if "thinking" in block else "text" if "text" in block else "")
    )


class Parts:
    """Collects a complete reply's message."""

    def __init__(self) -> None:
        self.forced = False
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._lists: dict[str, list[Json]] = {}
        self._places = Places()

    @property
    def has_calls(self) -> bool:
        return "tool_calls" in self._lists

    @property
    def says_something(self) -> bool:
        return self.has_calls or any(self._texts)

    def block(self, block: Json) -> None:
        kind = kind_of(block)
        self._places.begin(kind)
        if kind == "text":
            self._texts.append(block.get("text") or "")
            self._places.length += len(self._texts[-1])
        elif kind == "thinking":
            self._think("text", "reasoning.text", block.get("thinking") or "")
        else:
            self._append("provider_content", kept(self._count("provider_content"), block))

    def rest(self, message: Json) -> None:
        if message.get("tool_plan"):
            self._think("summary", "reasoning.summary", message["tool_plan"])
        for call in message.get("tool_calls") or ():
            if call.get("function", {}).get("name") == ANSWER_TOOL:
                self.forced = True
                self._texts.append(_arguments(call))
            else:
                self._append("tool_calls", tool_call(call, _arguments(call)))
        for citation in message.get("citations") or ():
            for name, item in self._places.told(citation, self._count("provider_content")):
                self._append(name, item)

    def _think(self, field: str, kind: str, text: str) -> None:
        self._thoughts.append(text)
        self._append(
            "reasoning_details",
            {"type": kind, field: text, "format": WIRE, "index": self._count("reasoning_details")},
        )

    def _append(self, name: str, item: Json) -> None:
        self._lists.setdefault(name, []).append(item)

    def _count(self, name: str) -> int:
        return len(self._lists.get(name, ()))

    def message(self) -> Json:
        message: Json = {"role": "assistant", "content": join_text(self._texts), **self._lists}
        if any(self._thoughts):
            message["reasoning_content"] = "".join(self._thoughts)
        return complete_message(message)


class Places:
    """Where each content block's text begins in all of the text, for citations."""

    def __init__(self) -> None:
        self.length = 0
        self._starts: list[int | None] = []

    def begin(self, kind: Any) -> None:
        """A block begins; None marks one that is no text."""
        self._starts.append(self.length if kind == "text" else None)

    def told(self, citation: Json, number: int) -> list[tuple[str, Json]]:
        """The message fields that hold a citation, each with an item for it. `number` is of the
        next kept block."""
        index = citation.get("content_index")
        start: int | None = 0
        if isinstance(index, int) and index < len(self._starts):
            start = self._starts[index]
        if start is None or citation.get("type") not in (None, "TEXT_CONTENT"):
            return [("provider_content", kept(number, {"type": "citation", "citation": citation}))]
        span = {
            "start_index": start + (citation.get("start") or 0),
            "end_index": start + (citation.get("end") or 0),
        }
        sources: list[Json] = citation.get("sources") or [{}]
        return [("annotations", annotation(citation, source, span)) for source in sources]


def annotation(citation: Json, source: Json, span: Json) -> Json:
    about = source.get("document") or source.get("tool_output") or {}
    url, title = (about.get("url"), about.get("title")) if isinstance(about, dict) else (None, None)
    told = {
        "url": str(url or ""),
        "title": str(title or source.get("id") or ""),
        **span,
        "text": citation.get("text") or "",
    }
    return {"type": "url_citation", "url_citation": {**told, "source": source} if source else told}


def kept(index: int, block: Json) -> Json:
    return {"format": WIRE, "index": index, "block": block}


def tool_call(call: Mapping[str, Any], arguments: str) -> Json:
    name = (call.get("function") or {}).get("name") or ""
    return {
        "id": call.get("id") or "",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _arguments(call: Mapping[str, Any]) -> str:
    return str((call.get("function") or {}).get("arguments") or "{}")


def finish_reason(reason: Any, has_calls: bool, forced: bool, says_something: bool) -> str:
    """OpenAI's word. The forced tool's call is the answer itself, not a call. Raises UpstreamError
    where there is no answer."""
    if reason == "ERROR" or (reason == "TIMEOUT" and not says_something):
        raise UpstreamError(f"The provider failed to write an answer: {reason}.")
    mapped = FINISH_REASONS.get(reason or "", "stop")
    if mapped in ("stop", "tool_calls"):
        return "tool_calls" if has_calls or (mapped == "tool_calls" and not forced) else "stop"
    return mapped


COUNTS: Final = ("input_tokens", "output_tokens")


def read_usage(told: Any) -> Usage | None:
    """Counts of the model's tokens, which include what Cohere adds to the prompt; else the billed
    ones."""
    told = told if isinstance(told, dict) else {}
    billed: Json = told.get("billed_units") or {}
    counts: Json = told.get("tokens") or {}
    if not any(read_count(counts, name) for name in COUNTS):
        counts = billed or counts
    if not any(name in counts for name in COUNTS):
        return None
    usage = build_usage(*(read_count(counts, name) for name in COUNTS))
    if told.get("cached_tokens") is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": read_count(told, "cached_tokens")}
    if billed:
        usage["billed_units"] = billed
    return usage


def build_logprobs(items: Iterable[Any]) -> Json:
    """OpenAI's `logprobs`. Cohere tells them for pieces of text: a piece of several tokens is as
    likely as all of them together."""
    return {
        "content": [_likelihood(item) for item in items if isinstance(item, dict)],
        "refusal": None,
    }


def _likelihood(item: Json) -> Json:
    text = item.get("text") or ""
    told = {
        "token": text,
        "logprob": sum(item.get("logprobs") or ()),
        "bytes": list(text.encode()),
        "top_logprobs": [],
    }
    return {**told, **{name: item[name] for name in ("token_ids", "logprobs") if item.get(name)}}


# --- errors ------------------------------------------------------------------------------------------------


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """What a non-2xx answer means: `{"message", "id"}`, or anything."""
    try:
        detail = find_error_detail(orjson.loads(body))
    except orjson.JSONDecodeError:
        detail = {}
    return _build_error(status, detail, headers)


def _build_error(status: int, detail: Json, headers: Mapping[str, str]) -> UpstreamError:
    words = str(detail.get("message") or detail.get("data") or "")
    if status == BLOCKED:
        words = words or "The provider blocked the request."
        return UpstreamError(
            words, status=400, code="content_policy_violation", upstream_status=status
        )
    told: Json = {"message": words}
    if words.lower().startswith("too many tokens"):
        # The same words tell of a prompt that is too long and of a max_tokens that is too high.
        told |= (
            {"param": "max_tokens"}
            if "max tokens must be" in words
            else {"code": "context_length_exceeded"}
        )
    return build_error(status, told, headers)


def read_reply_error(body: Any) -> UpstreamError:
    """The error that came with status 200, or in place of an answer."""
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return _build_error(0, body, {})
    return read_embedded_error(body)
