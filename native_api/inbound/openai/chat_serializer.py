"""The chat request, field by field. `types.ChatRequest` says what each field means."""

from __future__ import annotations

from typing import Any

from native_api.dialects.shared import field_members
from native_api.dialects.shared.unknown_members import (
    OPENAI_MEMBERS,
    find_unknown_members,
    strip_unknown_members,
)
from native_api.inbound import request_serializer as common
from native_api.inbound.checks import (
    CheckedField,
    FieldError,
    any_object,
    anything,
    at_least,
    between,
    boolean,
    integer,
    kind_of,
    list_of,
    number,
    object_of,
    one_of,
    open_shape,
    string,
    unknown_field,
)
from native_api.inbound.openai.chat_messages import TEXT, content, messages
from native_api.inbound.openai.chat_tools import (
    response_format,
    tool_choice,
    tools,
    web_search_options,
)
from native_api.inbound.openai.foreign_fields import REFUSED, adapt_fields
from native_api.inbound.openai.foreign_members import adapt_members
from native_api.inbound.request_serializer import RequestSerializer, field, require, require_model
from native_api.types.chat import EXTENSION_FIELDS, UNIFIED_FIELDS

MAX_STOPS = 1000
MAX_MODALITIES = 10


def stop(value: Any, path: str) -> str | list[str]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise FieldError(path, f"expected a string or a list of strings, not {kind_of(value)}")
    checked: list[str] = STOPS(value, path)
    return checked


def output_limit(value: Any, path: str) -> int:
    if integer(value, path) < 1:
        raise FieldError(path, "expected 1 or more; leave it out for the model's own limit")
    return int(value)


STOPS = list_of(string, MAX_STOPS)


EFFORT = one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")
REASONING = {
    "effort": EFFORT,
    "max_tokens": integer,
    "exclude": boolean,
    "enabled": boolean,
    "summary": string,
}


def think(value: Any, path: str) -> Any:
    """Ollama's switch, or a level."""
    return EFFORT(value, path) if isinstance(value, str) else boolean(value, path)


MODERATION_MODE = open_shape({"mode": string})
MODERATION_POLICY = open_shape({"input": MODERATION_MODE, "output": MODERATION_MODE})
PREDICTED = content({"text": TEXT})
PREDICTION = open_shape(
    {"type": one_of("content"), "content": PREDICTED}, required=("type", "content")
)


class ChatCompletionSerializer(RequestSerializer):
    """Checks a chat request."""

    spelled_fields = UNIFIED_FIELDS - EXTENSION_FIELDS
    refused_fields = REFUSED

    model = field(common.model)
    tier = field(common.tier)
    messages = CheckedField(messages)
    stream = field(boolean)
    stream_options = field(open_shape({"include_usage": boolean, "include_obfuscation": boolean}))
    temperature = field(number)
    top_p = field(number)
    max_tokens = field(output_limit)
    max_completion_tokens = field(output_limit)
    stop = field(stop)
    n = field(at_least(1, integer))
    seed = field(integer)
    presence_penalty = field(number)
    frequency_penalty = field(number)
    logit_bias = field(object_of(number))
    logprobs = field(boolean)
    top_logprobs = field(between(0, 20, integer))
    tools = field(tools)
    tool_choice = field(tool_choice)
    parallel_tool_calls = field(boolean)
    response_format = field(response_format)
    reasoning_effort = field(EFFORT)
    verbosity = field(one_of("low", "medium", "high"))
    modalities = field(list_of(string, MAX_MODALITIES))
    audio = field(open_shape({"voice": anything, "format": string}, required=("voice", "format")))
    prediction = field(PREDICTION)
    metadata = field(common.metadata)
    user = field(string)
    safety_identifier = field(string)
    prompt_cache_key = field(string)
    service_tier = field(string)
    store = field(boolean)
    web_search_options = field(web_search_options)
    prompt_cache_retention = field(string)
    prompt_cache_options = field(open_shape({"mode": string, "ttl": string}))
    moderation = field(
        open_shape({"model": string, "policy": MODERATION_POLICY}, required=("model",))
    )
    top_k = field(integer)
    top_a = field(number)
    min_p = field(number)
    typical_p = field(number)
    repetition_penalty = field(number)
    repeat_penalty = field(number)
    length_penalty = field(number)
    mirostat = field(integer)
    mirostat_tau = field(number)
    mirostat_eta = field(number)
    min_tokens = field(integer)
    stop_token_ids = field(list_of(integer, MAX_STOPS))
    ignore_eos = field(boolean)
    reasoning = field(open_shape(REASONING))
    thinking = field(open_shape({"type": string, "budget_tokens": integer}))
    think = field(think)
    enable_thinking = field(boolean)
    thinking_budget = field(integer)
    include_reasoning = field(boolean)
    reasoning_format = field(string)
    reasoning_split = field(boolean)
    chat_template_kwargs = field(any_object)
    conversation_id = field(common.conversation_id)
    fallbacks = field(common.fallbacks)
    provider_options = field(common.provider_options)

    def adapt(self, data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        fields_adapted, left_out = adapt_fields(data)
        adapted, members_left_out = adapt_members(fields_adapted)
        return adapted, [*left_out, *members_left_out]

    def drop_unknown_members(self, checked: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        known, paths = field_members.strip_unknown(checked)
        known, names = strip_unknown_members(known, OPENAI_MEMBERS)
        return known, [*paths, *names]

    def refuse_unknown_members(self, checked: dict[str, Any]) -> None:
        for member in field_members.find_unknown(checked):
            raise unknown_field(member.name, member.known, member.path)
        for found in find_unknown_members(checked):
            if found.report_name not in OPENAI_MEMBERS:
                raise unknown_field(found.name, found.known, found.path)

    def check_together(self, checked: dict[str, Any]) -> None:
        """Checks that concern more than one field."""
        require_model(checked)
        require(checked, "messages")
        if "top_logprobs" in checked and not checked.get("logprobs"):
            raise FieldError("top_logprobs", "only allowed when logprobs is true")
        if (
            "tool_choice" in checked
            and not checked.get("tools")
            and checked["tool_choice"] not in ("none", "auto")
        ):
            raise FieldError("tool_choice", "only allowed when there are tools")
