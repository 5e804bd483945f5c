"""The unified chat request, field by field. See `types.ChatRequest` for what each means."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import cached_property
from typing import Any

from rest_framework import serializers

from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest
from native_api.inbound.checks import (
    MAX_SHOWN,
    CheckedField,
    Misplaced,
    any_object,
    anything,
    at_least,
    at_most,
    between,
    boolean,
    integer,
    kind_of,
    list_of,
    name,
    number,
    object_of,
    one_of,
    shape,
    string,
    unknown_field,
)
from native_api.inbound.openai.chat_messages import content, messages
from native_api.inbound.openai.chat_tools import (
    response_format,
    tool_choice,
    tools,
    web_search_options,
)
from native_api.types import ChatRequest

LONGEST_MODEL = 200
LONGEST_CONVERSATION_ID = 256
MOST_METADATA = 16
LONGEST_METADATA_KEY = 64
LONGEST_METADATA_VALUE = 512
MOST_STOPS = 1000
MOST_MODALITIES = 10
MOST_FALLBACKS = 16
"""Each is looked up, its access checked and its price worked out. More than are tried, whatever
ATTEMPTS says."""
MOST_UNKNOWN = 100
"""Fields that are left out are named in a header."""


def stop(value: Any, place: str) -> str | list[str]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise Misplaced(place, f"expected a string or a list of strings, not {kind_of(value)}")
    checked: list[str] = STOPS(value, place)
    return checked


STOPS = list_of(string, MOST_STOPS)


def metadata(value: Any, place: str) -> dict[str, str]:
    """Kept on the usage record, so it is bounded as OpenAI bounds it."""
    if len(any_object(value, place)) > MOST_METADATA:
        raise Misplaced(place, f"expected at most {MOST_METADATA} pairs")
    for key, item in value.items():
        at_most(LONGEST_METADATA_KEY)(key, place)
        at_most(LONGEST_METADATA_VALUE)(item, f"{place}.{key}")
    return dict(value)


PREDICTED = content(text=shape({"type": string, "text": string}, required=("text",)))
PREDICTION = shape({"type": one_of("content"), "content": PREDICTED}, required=("type", "content"))


def field(check: Any) -> CheckedField:
    return CheckedField(check, required=False, allow_null=True)


class ChatCompletionSerializer(serializers.Serializer):
    """Checks a request. `check` is for the hot path; `is_valid` works as in any DRF serializer.

    Keeps no state of a request, so one instance serves all.
    """

    model = field(name(LONGEST_MODEL))
    tier = field(one_of("simple", "moderate", "complex"))
    messages = CheckedField(messages)
    stream = field(boolean)
    stream_options = field(shape({"include_usage": boolean, "include_obfuscation": boolean}))
    temperature = field(number)
    top_p = field(number)
    max_tokens = field(at_least(1, integer))
    max_completion_tokens = field(at_least(1, integer))
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
    reasoning_effort = field(one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"))
    verbosity = field(one_of("low", "medium", "high"))
    modalities = field(list_of(string, MOST_MODALITIES))
    audio = field(shape({"voice": anything, "format": string}, required=("voice", "format")))
    prediction = field(PREDICTION)
    metadata = field(metadata)
    user = field(string)
    safety_identifier = field(string)
    prompt_cache_key = field(string)
    service_tier = field(string)
    store = field(boolean)
    web_search_options = field(web_search_options)
    conversation_id = field(name(LONGEST_CONVERSATION_ID))
    fallbacks = field(list_of(name(LONGEST_MODEL), MOST_FALLBACKS))
    provider_options = field(object_of(any_object))

    @cached_property
    def _checks(self) -> dict[str, Callable[[Any], Any]]:
        return {name: field.to_internal_value for name, field in self.fields.items()}

    def check(self, data: dict[str, Any]) -> tuple[ChatRequest, list[str]]:
        """The request, and the unknown fields that were left out because the site is not STRICT.
        Raises InvalidRequest."""
        unknown: Set[str] = (
            frozenset() if native_settings.STRICT else data.keys() - self._checks.keys()
        )
        known = (
            {key: value for key, value in data.items() if key not in unknown} if unknown else data
        )
        try:
            if len(unknown) > MOST_UNKNOWN:
                raise Misplaced(
                    min(unknown)[:MAX_SHOWN],
                    f"one of {len(unknown)} unknown fields; at most {MOST_UNKNOWN} are left out",
                )
            return self.to_internal_value(known), sorted(unknown)  # type: ignore[return-value]
        except Misplaced as error:
            raise InvalidRequest(error.message, code=error.code, param=error.place) from None

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """DRF's way in: the error as a dictionary of places."""
        try:
            return super().run_validation(data)
        except Misplaced as error:
            raise serializers.ValidationError(
                {error.place: [error.message]}, code=error.code
            ) from None

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        """Visits the fields that were sent, rather than all there are. Stops at the first that is
        wrong."""
        checks = self._checks
        checked: dict[str, Any] = {}
        for key, value in data.items():
            check = checks.get(key)
            if check is None:
                raise unknown_field(key, checks)
            if value is not None:
                checked[key] = check(value)
        self._together(checked)
        return checked

    def _together(self, checked: dict[str, Any]) -> None:
        """What fields ask of each other."""
        if "model" not in checked and "tier" not in checked:
            raise Misplaced("model", "this field is required")
        if "messages" not in checked:
            raise Misplaced("messages", "this field is required")
        if "stream_options" in checked and not checked.get("stream"):
            raise Misplaced("stream_options", "only a request with stream: true may have it")
        if "top_logprobs" in checked and not checked.get("logprobs"):
            raise Misplaced("top_logprobs", "only a request with logprobs: true may have it")
        if (
            "tool_choice" in checked
            and not checked.get("tools")
            and checked["tool_choice"] not in ("none", "auto")
        ):
            raise Misplaced("tool_choice", "only a request with tools may have it")
