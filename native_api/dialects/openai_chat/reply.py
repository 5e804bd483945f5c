"""One choice of a reply of OpenAI's family, piece by piece, in the unified shape; and the complete
reply, which is one piece.

What is unknown is passed on. What differs is brought to one form: reasoning under one name, content
as text, calls numbered, one role, and what the servers tell about sources as annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.openai_chat.calls import Calls, Details
from native_api.dialects.openai_chat.content import (
    ThinkTags,
    annotations_of,
    gather,
    logprobs_of,
    sources_of,
    split,
)
from native_api.dialects.openai_chat.usage import read_service_tier, read_usage
from native_api.dialects.shared.errors import is_error, read_embedded_error
from native_api.dialects.shared.json_values import dump_json, read_objects
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, Json, Quirks

FINISH_REASONS: Final = {
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "refusal": "content_filter",
}
"""What servers of the family say, in lower case -> what OpenAI says. Anything else is `stop`."""

FAILURES: Final = frozenset(
    {"error", "network_error", "insufficient_system_resource", "abort", "model_error"}
)
"""Reasons that mean the answer broke off (OpenRouter and Mistral, Z.ai, DeepSeek, vLLM)."""

PLAIN: Final = frozenset({"content", "role", "refusal"})
REASONING: Final = ("reasoning_content", "reasoning", "reasoning_text")
THOUGHTS: Final = frozenset({"reasoning_details", *REASONING})
CALLS: Final = frozenset({"tool_calls", "function_call"})
TOLD_OTHERWISE: Final = frozenset({"role", "channel", "token_id", *CALLS, *THOUGHTS})
"""Fields that are told in another form, or, as Groq's `channel` and Together's `token_id`, by the
text itself."""
AS_THEY_ARE: Final = frozenset({"content", "refusal", "annotations", "audio", "images"})
OF_CHOICE: Final = frozenset(
    {"index", "delta", "message", "text", "finish_reason", "logprobs", "usage", "error"}
)
"""Fields of a choice that are read; others are passed on where they hold something."""
READ: Final = AS_THEY_ARE | TOLD_OTHERWISE
GOOGLE_THOUGHT: Final = {"google": {"thought": True}}
WIRE: Final = "openai"


class Answer:
    """The state of one choice. `take` for each piece, then `end` once.

    What a message tells that has no unified field is collected into one block of
    `provider_content`: there it survives a client that sends the message back.
    """

    def __init__(self, index: int, quirks: Quirks) -> None:
        self.index = index
        self.reason: str | None = None
        self.length = 0
        self.has_begun = False
        self.extra: Json = {}
        self._calls = Calls(index)
        self._details = Details()
        self._tags = ThinkTags() if quirks.reasoning_field == "think_tags" else None
        self._in_thought = False
        self._others: Json = {}
        self._annotations: list[Json] = []

    def goes_on(self, told: Any) -> bool:
        """Whether a piece is nothing but more text, which is then counted."""
        if (
            type(told) is not dict
            or len(told) != 1
            or not self.has_begun
            or self._tags is not None
            or self._in_thought
            or self.extra
        ):
            return False
        text = told.get("content")
        if type(text) is not str or not text:
            return False
        self.length += len(text)
        return True

    def take(self, told: Json, reply_id: str) -> Json:
        """The delta that one piece means, empty where it says nothing."""
        is_plain = told.keys() <= PLAIN and self._tags is None and not self._in_thought
        if is_plain and isinstance(told.get("content"), str | None):
            delta = {name: value for name, value in told.items() if name != "role"}
        else:
            delta = self._all(told, reply_id)
        if delta.get("content"):
            self.length += len(delta["content"])
        if not self.has_begun and (delta or "role" in told):
            self.has_begun = True
            return {"role": "assistant", **delta}
        return delta if any(value is not None for value in delta.values()) else {}

    def _all(self, told: Json, reply_id: str) -> Json:
        delta = {
            name: told[name] for name in AS_THEY_ARE & told.keys() if told[name] or name in PLAIN
        }
        self._content(told, delta)
        # A list whose items have no `index` is told once, at the end: see `deltas`.
        self._annotations += annotations_of(delta.pop("annotations", ()))
        if THOUGHTS & told.keys() or "reasoning_content" in delta:
            self._reasoning(told, delta)
        if CALLS & told.keys():
            self._tool_calls(told, delta, reply_id)
        others = {name: value for name, value in told.items() if value and name not in READ}
        if others.get("extra_content") == GOOGLE_THOUGHT:
            del others["extra_content"]
        if others:
            gather(self._others, others)
        if self._tags is not None and delta.get("content"):
            self._untag(self._tags.feed(delta.pop("content")), delta)
        return delta

    def _content(self, told: Json, delta: Json) -> None:
        content = delta.get("content")
        if isinstance(content, list):
            split(delta, delta.pop("content"), self.length)
        elif content is not None and not isinstance(content, str):
            delta["content"] = dump_json(content)
        elif content:
            self._google_thought(told.get("extra_content") == GOOGLE_THOUGHT, delta)

    def _google_thought(self, is_thought: bool, delta: Json) -> None:
        """Gemini's compatible endpoint marks thoughts, and puts `<thought>` tags around them as
        well."""
        if is_thought:
            self._in_thought = True
            delta["reasoning_content"] = delta.pop("content").removeprefix("<thought>")
        elif self._in_thought:
            self._in_thought = False
            delta["content"] = delta["content"].removeprefix("</thought>")

    def _reasoning(self, told: Json, delta: Json) -> None:
        details = [
            self._details.number(item) for item in read_objects(told.get("reasoning_details"))
        ]
        if details:
            delta["reasoning_details"] = details
        text = delta.pop("reasoning_content", None)
        text = text or next(
            (told[name] for name in REASONING if isinstance(told.get(name), str) and told[name]), ""
        )
        text = text or "".join(_told_by(item) for item in details)
        if text:
            delta["reasoning_content"] = text

    def _tool_calls(self, told: Json, delta: Json, reply_id: str) -> None:
        pieces = read_objects(told.get("tool_calls"))
        if told.get("function_call"):
            pieces.append({"index": "function_call", "function": told["function_call"]})
        calls = []
        for piece in pieces:
            call, words = self._calls.take(piece, reply_id)
            if call is not None:
                calls.append(call)
            if words:
                delta["content"] = (delta.get("content") or "") + words
        if calls:
            delta["tool_calls"] = calls

    def _untag(self, found: tuple[str, str], delta: Json) -> None:
        thought, content = found
        if thought:
            delta["reasoning_content"] = delta.get("reasoning_content", "") + thought
        if content:
            delta["content"] = content

    def finish(self, choice: Mapping[str, Any]) -> None:
        """Note the finish reason of a piece, if it has one. Raises UpstreamError for a choice that
        failed."""
        reason = choice.get("finish_reason")
        if choice.get("error"):
            raise read_embedded_error({"error": choice["error"]})
        if isinstance(reason, str) and reason in FAILURES:
            raise UpstreamError(f"The provider's answer broke off: {reason}.")
        if reason and self.reason is None:
            self.reason = str(reason).lower()

    def held(self) -> tuple[str, Json]:
        """The text that may yet be a tag, and the members that are told at the end."""
        return self._tags.held if self._tags is not None else "", self._others

    def end(self, body: Mapping[str, Any]) -> tuple[Json, str]:
        """What is owed at the end, and the finish reason. `body` tells the sources where the choice
        did not."""
        delta: Json = {}
        if self._tags is not None:
            self._untag(self._tags.close(), delta)
        owed = self._calls.owed()
        if owed:
            delta["tool_calls"] = owed
        if self._others:
            delta["provider_content"] = [{"format": WIRE, "index": 0, "block": self._others}]
        found = self._annotations
        if not found and self.index == 0:
            found = sources_of(body, self.length + len(delta.get("content", "")))
        if found:
            delta["annotations"] = found
        return delta, self._reason()

    def _reason(self) -> str:
        mapped = FINISH_REASONS.get(self.reason or "stop", "stop")
        if mapped == "stop" and self._calls.count:
            return "tool_calls"
        return (
            "stop"
            if mapped == "tool_calls" and self._calls.forced and not self._calls.count
            else mapped
        )


def _told_by(item: Json) -> str:
    return item.get("text") or item.get("summary") or ""


# --- the complete reply ---------------------------------------------------------------------------


def build_reply(body: Any, quirks: Quirks) -> ChatCompletion:
    """The unified reply. Raises UpstreamError where the body is an error or holds no answer."""
    if (
        not isinstance(body, dict)
        or not isinstance(body.get("choices"), list)
        or not body["choices"]
        or is_error(body)
    ):
        raise read_embedded_error(body)
    usage = read_usage(body)
    head: Json = {
        name: value for name, value in body.items() if name not in ("choices", "usage", "x_groq")
    }
    head |= {
        "id": str(body.get("id") or ""),
        "object": "chat.completion",
        "created": body.get("created") or 0,
    }
    head["model"] = str(body.get("model") or "")
    head |= read_service_tier(body)
    head["choices"] = [
        _choice(choice, position, body, quirks) for position, choice in enumerate(body["choices"])
    ]
    groq = without_usage(body.get("x_groq"))
    if groq:
        head["x_groq"] = groq
    if usage:
        head["usage"] = usage
    completion: Any = head
    unified: ChatCompletion = completion
    return unified


def without_usage(groq: Any) -> Json:
    """Groq's own part of a reply, whose usage is told as ours."""
    return (
        {name: value for name, value in groq.items() if name != "usage"}
        if isinstance(groq, dict)
        else {}
    )


def _choice(choice: Any, position: int, body: Json, quirks: Quirks) -> Json:
    if not isinstance(choice, dict):
        raise UpstreamError("The provider's answer holds a choice that is none.")
    index = choice["index"] if isinstance(choice.get("index"), int) else position
    answer = Answer(index, quirks)
    answer.finish(choice)
    told = dict(choice.get("message") or choice.get("delta") or {"content": choice.get("text")})
    told["tool_calls"] = [
        {**call, "index": number}
        for number, call in enumerate(read_objects(told.get("tool_calls")))
    ]
    message: Json = {
        "role": "assistant",
        "content": None,
        **answer.take(told, str(body.get("id") or "")),
    }
    owed, reason = answer.end(body)
    _add(message, owed)
    extra = {
        name: value for name, value in choice.items() if name not in OF_CHOICE and value is not None
    }
    unified = {**extra, "index": index, "message": message, "finish_reason": reason}
    if "logprobs" in choice:
        unified["logprobs"] = logprobs_of(choice["logprobs"], message["content"] or "")
    return unified


def _add(message: Json, owed: Json) -> None:
    for call in owed.pop("tool_calls", ()):
        message["tool_calls"][call["index"]]["function"]["arguments"] = call["function"][
            "arguments"
        ]
    for name, text in owed.items():
        message[name] = (message.get(name) or "") + text if isinstance(text, str) else text
    for call in message.get("tool_calls") or ():
        del call["index"]
    if message.get("tool_calls") and not message["content"]:
        message["content"] = None
