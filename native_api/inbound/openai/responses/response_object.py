"""The object `response` around the output: who answered, how it ended, the counts, and what the
request said. Source: https://platform.openai.com/docs/api-reference/responses/object (2026-11).

Open Responses (https://www.openresponses.org/specification, read 2026-11) requires the members of
`DEFAULTS`, with a number, a text or a list where OpenAI has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from native_api.dialects.openai_responses.reply import REPLY_FIELDS
from native_api.dialects.shared.json_values import read_integer
from native_api.exceptions import NativeError, RateLimited
from native_api.inbound.base import ParsedRequest
from native_api.types import Json

DEFAULTS: Final[Mapping[str, Any]] = {
    "background": False,
    "completed_at": None,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What OpenAI answers for what a request does not say."""

ECHOED: Final = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
    "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "temperature", "tool_choice",
    "top_logprobs", "top_p", "truncation", "user",
)  # fmt: skip
"""Members of the request that the response repeats as they are."""

MERGED: Final = ("reasoning", "text")
"""Members of the request that the response repeats with their defaults."""

SECRET_MEMBERS: Final = frozenset({"authorization", "headers"})
"""Members of an `mcp` tool that no response shows."""

ID_LENGTH: Final = 40


class ResponseHead:
    """The members of one response that are known when it begins."""

    __slots__ = ("created_at", "key", "members", "model")

    def __init__(self, parsed: ParsedRequest, reply: Mapping[str, Any]) -> None:
        """`reply` is the unified reply or a chunk of it."""
        self.created_at = read_integer(reply.get("created"))
        self.model = str(reply.get("model") or parsed.body.get("model") or "")
        self.key = self._make_key(str(reply.get("id") or ""))
        self.members = build_echo(parsed)

    def _make_key(self, reply_id: str) -> str:
        """What the ids are made of. Some servers use few ids, such as Ollama a thousand."""
        written = f"{reply_id}\0{self.created_at}\0{self.model}"
        return sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:ID_LENGTH]

    @property
    def response_id(self) -> str:
        return f"resp_{self.key}"

    def build(self, output: list[Json], members: Mapping[str, Any]) -> Json:
        """The response. `members` are those that depend on its end."""
        return {
            "id": self.response_id,
            "object": "response",
            "created_at": self.created_at,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": output,
            "usage": None,
            **self.members,
            **members,
        }


def build_echo(parsed: ParsedRequest) -> Json:
    """The members of a response that say what was asked for, and whether it is kept."""
    body: Mapping[str, Any] = parsed.client_body.body if parsed.client_body else {}
    echo = dict(DEFAULTS)
    for name in ECHOED:
        if body.get(name) is not None:
            echo[name] = body[name]
    for name in MERGED:
        if isinstance(body.get(name), dict):
            said = {member: value for member, value in body[name].items() if value is not None}
            echo[name] = {**echo[name], **said}
    if body.get("tools"):
        echo["tools"] = [_complete_tool(tool) for tool in body["tools"]]
    return {**echo, **parsed.echo}


def _complete_tool(tool: Any) -> Any:
    """A tool of the request with the members that OpenAI adds, without secrets."""
    if not isinstance(tool, dict):
        return tool
    if tool.get("type") == "function":
        return {"description": None, "parameters": None, "strict": None, **tool}
    if SECRET_MEMBERS.isdisjoint(tool):
        return tool
    return {name: value for name, value in tool.items() if name not in SECRET_MEMBERS}


# --- the end -------------------------------------------------------------------------------------

INCOMPLETE_REASONS: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""A finish reason of an answer that is not complete -> OpenAI's reason."""

DETAILS: Final = {
    "prompt_tokens_details": ("input_tokens_details", ("cached_tokens", "cache_write_tokens")),
    "completion_tokens_details": ("output_tokens_details", ("reasoning_tokens",)),
}
"""The unified member -> OpenAI's, and the counts that clients require in it."""
SERVER_ERRORS: Final = 500
"""Clients try again after these, and not after an error of the request."""
TOO_LONG: Final = "context_length_exceeded"
COUNTS: Final = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
}


def build_end(finish_reason: Any) -> Json:
    """`status` and `incomplete_details`."""
    reason = INCOMPLETE_REASONS.get(finish_reason)
    if reason is None:
        return {"status": "completed"}
    return {"status": "incomplete", "incomplete_details": {"reason": reason}}


def build_error(error: NativeError) -> Json:
    """`error` of a response that failed. Its message is what clients show, and by one code Codex
    knows that it has to compact the conversation."""
    param = error.param
    if error.code == TOO_LONG:
        code, param = TOO_LONG, "input"
    elif error.status == RateLimited.status:
        code = "rate_limit_exceeded"
    else:
        code = "invalid_prompt" if error.status < SERVER_ERRORS else "server_error"
    return {"code": code, "message": error.message, "param": param, "type": error.type}


def build_usage(usage: Mapping[str, Any] | None) -> Json | None:
    """The counts in OpenAI's words. Members that it has no words for stay as they are."""
    if not usage:
        return None
    built = {name: value for name, value in usage.items() if name not in COUNTS | DETAILS}
    for name, word in COUNTS.items():
        built[word] = usage.get(name) or 0
    for name, (word, required) in DETAILS.items():
        counts = usage.get(name) or {}
        built[word] = {
            **dict.fromkeys(required, 0),
            **{member: count for member, count in counts.items() if count is not None},
        }
    return built


SAME_MEMBERS: Final = ("service_tier", *sorted(REPLY_FIELDS))


def read_reply_members(reply: Mapping[str, Any]) -> Json:
    """The members outside of choices and usage that this API has too."""
    members = {name: reply[name] for name in SAME_MEMBERS if reply.get(name)}
    if reply.get("moderation"):
        members["moderation"] = _build_moderation(reply["moderation"])
    return members


def _build_moderation(moderation: Mapping[str, Any]) -> Json:
    """One result where Chat Completions have a list of them (`dialects.shared.reply_fields`)."""
    return {
        side: result["results"][0] if isinstance(result, dict) and result.get("results") else result
        for side, result in moderation.items()
    }
