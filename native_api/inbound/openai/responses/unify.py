"""The unified request for a request in the words of Responses: what a target of another wire gets.

What another API cannot say is reported if the answer means the same without it; otherwise the
target is unsuitable. `store` is neither: whether the response is kept is up to the gateway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from native_api.dialects.openai_responses.state import STATE_WAY_ROUND
from native_api.exceptions import InvalidRequest
from native_api.inbound.checks import MAX_SHOWN, FieldError
from native_api.inbound.openai.responses.serializer import ResponsesSerializer
from native_api.inbound.openai.responses.unify_items import Conversation
from native_api.inbound.openai.responses.unify_parts import refuse_kind
from native_api.inbound.openai.responses.unify_tools import (
    UnifiedTools,
    flatten_tools,
    unify_tool_choice,
    unify_tools,
)
from native_api.inbound.translation import Report
from native_api.types import ChatRequest, Json

SAME_FIELDS: Final = (
    "model", "tier", "stream", "temperature", "top_p", "parallel_tool_calls", "metadata", "user",
    "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_retention",
    "moderation", "conversation_id", "fallbacks", "provider_options",
)  # fmt: skip
"""Fields that are the same in the unified request."""

READ_FIELDS: Final = frozenset(
    {
        *SAME_FIELDS, "input", "instructions", "tools", "tool_choice", "text", "reasoning",
        "max_output_tokens", "top_logprobs", "include", "stream_options", "prompt_cache_options",
        "store", "background", "previous_response_id",
    }
)  # fmt: skip
"""Fields that are translated, or that say nothing to a provider. All others are reported."""

SERIALIZER: Final = ResponsesSerializer()

LOGPROBS: Final = "message.output_text.logprobs"
ANSWERED: Final = frozenset({LOGPROBS, "reasoning.encrypted_content"})
"""Values of `include` that replies of other wires satisfy."""
CACHE_MEMBERS: Final = ("mode", "ttl")


def unify(body: Json, report: Report) -> ChatRequest:
    """The unified request. Raises InvalidRequest for a wrong value."""
    try:
        return _unify(body, report)
    except FieldError as error:
        raise error.as_invalid_request() from None
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.") from None


def _unify(body: Json, report: Report) -> ChatRequest:
    if body.get("previous_response_id"):
        report.refuse("previous_response_id", STATE_WAY_ROUND)
    chat: Any = {name: body[name] for name in SAME_FIELDS if body.get(name) is not None}
    tools = _add_tools(chat, body, report)
    _add_messages(chat, body, tools, report)
    _add_limits(chat, body)
    _add_text(chat, body.get("text") or {}, report)
    _add_reasoning(chat, body.get("reasoning") or {}, report)
    _add_included(chat, body, report)
    _add_cache_options(chat, body.get("prompt_cache_options") or {}, report)
    _update(chat, body, report)
    report.omit_all(
        name[:MAX_SHOWN]
        for name, value in body.items()
        if name not in READ_FIELDS and value not in (None, [], {}) and not _is_usual(name, value)
    )
    read = {name: value for name, value in body.items() if name in READ_FIELDS}
    report.omit_unknown(SERIALIZER.list_unknown_members(read))
    result: ChatRequest = chat
    return result


def _is_usual(name: str, value: Any) -> bool:
    return name == "truncation" and value == "disabled"


# --- the conversation ----------------------------------------------------------------------------


def _add_messages(chat: Json, body: Json, names: UnifiedTools, report: Report) -> None:
    conversation = Conversation(body.get("tools"), names, report)
    if body.get("instructions"):
        system = {"role": "system", "content": body["instructions"]}
        conversation.add_message(system, "instructions")
    written = body.get("input")
    if isinstance(written, str):
        conversation.add_message({"role": "user", "content": written}, "input")
    else:
        conversation.add(written or [], "input")
    if not conversation.messages:
        for refusal in report.refused:
            raise refusal
        raise FieldError("input", "expected at least one message")
    chat["messages"] = conversation.messages
    report.locate("messages", conversation.places)


def _add_tools(chat: Json, body: Json, report: Report) -> UnifiedTools:
    unified = unify_tools(body, report)
    report.locate("tools", [tool.path for tool in flatten_tools(body)])
    if unified.tools:
        chat["tools"] = unified.tools
    if unified.web_search_options is not None:
        chat["web_search_options"] = unified.web_search_options
    if body.get("tool_choice") is not None:
        choice = unify_tool_choice(body["tool_choice"], unified, report)
        if choice is not None:
            chat["tool_choice"] = choice
    return unified


# --- the answer ----------------------------------------------------------------------------------


def _add_limits(chat: Json, body: Json) -> None:
    if body.get("max_output_tokens"):
        chat["max_completion_tokens"] = body["max_output_tokens"]
    if body.get("stream"):
        chat["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}


def _add_text(chat: Json, text: Json, report: Report) -> None:
    if text.get("verbosity"):
        chat["verbosity"] = text["verbosity"]
    written = text.get("format") or {"type": "text"}
    kind = written["type"]
    if kind == "json_schema":
        schema = {name: written[name] for name in SCHEMA_MEMBERS if written.get(name) is not None}
        chat["response_format"] = {"type": kind, "json_schema": schema}
    elif kind == "json_object":
        chat["response_format"] = {"type": kind}
    elif kind != "text":
        refuse_kind(report, "text.format", kind)
    _report(report, "text", text, ("format", "verbosity"))


SCHEMA_MEMBERS: Final = ("name", "description", "schema", "strict")


def _add_reasoning(chat: Json, reasoning: Json, report: Report) -> None:
    if reasoning.get("effort"):
        chat["reasoning_effort"] = reasoning["effort"]
    summary = reasoning.get("summary") or reasoning.get("generate_summary")
    if summary:
        chat["reasoning"] = {"summary": summary}
    _report(report, "reasoning", reasoning, ("effort", "summary", "generate_summary"))


def _add_included(chat: Json, body: Json, report: Report) -> None:
    included = body.get("include") or ()
    if body.get("top_logprobs") or LOGPROBS in included:
        chat["logprobs"] = True
    if body.get("top_logprobs"):
        chat["top_logprobs"] = body["top_logprobs"]
    if not ANSWERED.issuperset(included):
        report.omit("include")


def _add_cache_options(chat: Json, options: Json, report: Report) -> None:
    kept = {name: options[name] for name in CACHE_MEMBERS if options.get(name)}
    if kept:
        chat["prompt_cache_options"] = kept
    _report(report, "prompt_cache_options", options, CACHE_MEMBERS)


def _update(chat: Json, body: Json, report: Report) -> None:
    """Settings that items of `input` change: the last one counts."""
    items = body.get("input")
    for item in items if isinstance(items, list) else ():
        if item.get("type") == "configuration_update":
            _add_text(chat, item.get("text") or {}, report)
            _add_reasoning(chat, item.get("reasoning") or {}, report)


def _report(report: Report, field: str, written: Json, known: Iterable[str]) -> None:
    report.omit_all(
        f"{field}.{name[:MAX_SHOWN]}"
        for name, value in written.items()
        if name not in known and value is not None
    )
