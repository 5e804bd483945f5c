"""Anthropic Messages: https://docs.anthropic.com/en/api/messages (read 2026-11). The request; see `anthropic_reply` for what comes back.

What differs most from the unified shape: instructions stand apart from the conversation, turns alternate, tool results
are part of the user's turn and come first in it, an output limit is required, and thinking is a mode of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.anthropic_messages import conversation
from native_api.dialects.anthropic_reply import AnthropicStream, reply
from native_api.dialects.base import Dialect, StreamParser
from native_api.dialects.content import FORCED_TOOL, check_modalities, choice_of, functions_of, limit_of, stops_of, wanted_schema
from native_api.dialects.errors import error_answered
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import ChatCompletion, ChatRequest, Json, Target

VERSION: Final = "2023-06-01"

OUTPUT_LIMITS: Final = (
    (re.compile(r"claude-3-(opus|sonnet|haiku)"), 4096),
    (re.compile(r"claude-3-5"), 8192),
    (re.compile(r"claude-opus-4(-0|-1|-2025|$)"), 32_000),
)
DEFAULT_OUTPUT_LIMIT: Final = 64_000
"""What a model can write at most, where the client sets no limit: https://docs.anthropic.com/en/docs/about-claude/models (2026-11)."""

NEVER_THINKS: Final = re.compile(r"claude-3-(opus|sonnet|haiku|5)|claude-2")
THINKS_BY_BUDGET: Final = re.compile(r"claude-3-7|claude-(opus|sonnet|haiku)-4(-[0-5])?(-2025|@|$|-latest)")
"""Later models decide themselves how long they think (`adaptive`) and take an effort."""

BUDGETS: Final = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_000, "max": 32_000}
EFFORTS: Final = {"minimal": "low", "xhigh": "xhigh", "max": "max"}
LEAST_BUDGET: Final = 1024

HAS_SCHEMAS: Final = re.compile(r"claude-(opus-4-1|(opus|sonnet|haiku)-4-[5-9]|[a-z]+-[5-9])")
"""Models with structured output of their own (`output_config.format`)."""

SERVICE_TIERS: Final = {"auto": "auto", "default": "standard_only"}


class Anthropic(Dialect):
    name = "anthropic"
    renamed = {"temperature": "temperature", "top_p": "top_p"}
    built = frozenset(
        {
            "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format",
            "reasoning_effort", "user", "safety_identifier", "service_tier", "web_search_options", "modalities",
        }
    )  # fmt: skip
    hints = frozenset(
        {
            "seed", "presence_penalty", "frequency_penalty", "logit_bias", "verbosity", "prediction", "metadata", "prompt_cache_key",
            "store",
        }
    )  # fmt: skip
    refused = frozenset({"n", "logprobs", "top_logprobs", "audio"})
    remote_files = frozenset({"image_url", "file"})

    def url(self, chat: ChatRequest, target: Target) -> str:
        return f"{target.provider.base_url}/messages"

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        return {"anthropic-version": VERSION}

    def build(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        check_modalities(chat)
        body["model"] = target.model
        system, body["messages"] = conversation(chat["messages"])
        if system:
            body["system"] = system
        body["max_tokens"] = limit_of(chat) or _output_limit(target.model)
        if chat.get("stream"):
            body["stream"] = True
        if stops_of(chat):
            body["stop_sequences"] = stops_of(chat)
        _identify(chat, body, omitted)
        _tools(chat, body)
        _format(chat, target.model, body)
        _think(chat, target.model, body, omitted)

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return reply(body)

    def stream(self, target: Target) -> StreamParser:
        return AnthropicStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return error_answered(status, headers, body)


def _output_limit(model: str) -> int:
    return next((limit for pattern, limit in OUTPUT_LIMITS if pattern.search(model)), DEFAULT_OUTPUT_LIMIT)


def _identify(chat: ChatRequest, body: Json, omitted: list[str]) -> None:
    user = chat.get("safety_identifier") or chat.get("user")
    if user:
        body["metadata"] = {"user_id": user}
    tier = chat.get("service_tier")
    if tier in SERVICE_TIERS:
        body["service_tier"] = SERVICE_TIERS[tier]
    elif tier:
        omitted.append("service_tier")


def _tools(chat: ChatRequest, body: Json) -> None:
    tools = [_tool(tool) for tool in functions_of(chat, "Anthropic")]
    if chat.get("web_search_options") is not None:
        tools.append(_web_search(chat["web_search_options"]))
    if not tools:
        return
    body["tools"] = tools
    mode, name = choice_of(chat)
    choice: Json = {"type": {"required": "any", "function": "tool", "none": "none"}.get(mode, "auto")}
    if name:
        choice["name"] = name
    if chat.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    if mode or len(choice) > 1:
        body["tool_choice"] = choice


def _tool(tool: Json) -> Json:
    function = tool["function"]
    schema = function.get("parameters") or {}
    told: Json = {"name": function["name"], "input_schema": {"type": "object", **schema}}
    if function.get("description"):
        told["description"] = function["description"]
    if function.get("strict"):
        told["strict"] = True
    if tool.get("cache_control"):
        told["cache_control"] = tool["cache_control"]
    return told


def _web_search(options: Mapping[str, Any]) -> Json:
    tool: Json = {"type": "web_search_20250305", "name": "web_search"}
    location = (options.get("user_location") or {}).get("approximate")
    if location:
        tool["user_location"] = {"type": "approximate", **location}
    return tool


def _format(chat: ChatRequest, model: str, body: Json) -> None:
    """Structured output: the model's own where it has one, else a tool that it is made to call."""
    schema = wanted_schema(chat)
    if schema is None:
        return
    if schema and HAS_SCHEMAS.search(model):
        body["output_config"] = {"format": {"type": "json_schema", "schema": closed(schema)}}
        return
    if any(tool.get("name") == FORCED_TOOL for tool in body.get("tools", ())):
        raise UnsupportedField("tools", f"the name {FORCED_TOOL!r} is taken by response_format with this provider")
    forced = {"name": FORCED_TOOL, "description": "Give the answer by calling this.", "input_schema": {"type": "object", **schema}}
    alone = not body.get("tools")
    body["tools"] = [*body.get("tools", ()), forced]
    body["tool_choice"] = {"type": "tool", "name": FORCED_TOOL} if alone else {"type": "any"}


def closed(schema: Any) -> Any:
    """The schema with `additionalProperties: false` on every object that says nothing of it, which Anthropic demands."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: value if name in ("enum", "const", "default", "examples") else closed(value) for name, value in schema.items()}
    if told.get("type") == "object":
        told.setdefault("additionalProperties", False)
    return told


def _think(chat: ChatRequest, model: str, body: Json, omitted: list[str]) -> None:
    """`reasoning_effort` as thinking, in the way the model takes it, and what thinking forbids."""
    effort = chat.get("reasoning_effort")
    if effort is None or effort == "none":
        return
    forced = body.get("tool_choice", {}).get("type") in ("any", "tool")
    lost = bool(THINKS_BY_BUDGET.search(model)) and _lost_its_thinking(body["messages"])
    if NEVER_THINKS.search(model) or forced or lost or not _set_thinking(effort, model, body):
        omitted.append("reasoning_effort")
        return
    omitted += [name for name in ("temperature", "top_p") if body.pop(name, None) is not None]


def _lost_its_thinking(turns: list[Json]) -> bool:
    """Whether the calls that are answered last came back without the thinking that led to them, as clients that don't know it
    send them. To models that think by budget that is a 400: such a turn is ended without thinking
    (https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking#extended-thinking-with-tool-use, read 2026-11).
    """
    if len(turns) < 2 or turns[-1]["content"][0]["type"] != "tool_result":
        return False
    return turns[-2]["content"][0]["type"] not in ("thinking", "redacted_thinking")


def _set_thinking(effort: str, model: str, body: Json) -> bool:
    """False where the output limit leaves no room for it."""
    if not THINKS_BY_BUDGET.search(model):
        body["thinking"] = {"type": "adaptive"}
        body["output_config"] = {**body.get("output_config", {}), "effort": EFFORTS.get(effort, effort)}
        return True
    budget = min(BUDGETS[effort], body["max_tokens"] - 1)
    if budget < LEAST_BUDGET:
        return False
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return True
