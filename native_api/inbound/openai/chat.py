"""The unified chat request, field by field. `types.ChatRequest` says what each field means."""

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
    FieldError,
    any_object,
    anything,
    at_least,
    between,
    boolean,
    bounded_string,
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

MAX_MODEL_LENGTH = 200
MAX_CONVERSATION_ID_LENGTH = 256
MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY_LENGTH = 64
MAX_METADATA_VALUE_LENGTH = 512
MAX_STOPS = 1000
MAX_MODALITIES = 10
MAX_FALLBACKS = 16
"""More than ATTEMPTS ever tries. Each is looked up, checked for access and priced."""
MAX_UNKNOWN_FIELDS = 100
"""Fields that are dropped are named in a header."""


def stop(value: Any, path: str) -> str | list[str]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise FieldError(path, f"expected a string or a list of strings, not {kind_of(value)}")
    checked: list[str] = STOPS(value, path)
    return checked


STOPS = list_of(string, MAX_STOPS)


def metadata(value: Any, path: str) -> dict[str, str]:
    """Kept in the usage record, with the limits that OpenAI sets."""
    if len(any_object(value, path)) > MAX_METADATA_PAIRS:
        raise FieldError(path, f"expected at most {MAX_METADATA_PAIRS} pairs")
    for key, item in value.items():
        bounded_string(MAX_METADATA_KEY_LENGTH)(key, path)
        bounded_string(MAX_METADATA_VALUE_LENGTH)(item, f"{path}.{key}")
    return dict(value)


PREDICTED = content(text=shape({"type": string, "text": string}, required=("text",)))
PREDICTION = shape({"type": one_of("content"), "content": PREDICTED}, required=("type", "content"))


def field(check: Any) -> CheckedField:
    return CheckedField(check, required=False, allow_null=True)


class ChatCompletionSerializer(serializers.Serializer):
    """Checks a request. `check` is for the hot path; `is_valid` works as in any DRF serializer.

    Keeps no state of a request, so one instance serves all.
    """

    model = field(name(MAX_MODEL_LENGTH))
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
    modalities = field(list_of(string, MAX_MODALITIES))
    audio = field(shape({"voice": anything, "format": string}, required=("voice", "format")))
    prediction = field(PREDICTION)
    metadata = field(metadata)
    user = field(string)
    safety_identifier = field(string)
    prompt_cache_key = field(string)
    service_tier = field(string)
    store = field(boolean)
    web_search_options = field(web_search_options)
    conversation_id = field(name(MAX_CONVERSATION_ID_LENGTH))
    fallbacks = field(list_of(name(MAX_MODEL_LENGTH), MAX_FALLBACKS))
    provider_options = field(object_of(any_object))

    @cached_property
    def _checks(self) -> dict[str, Callable[[Any], Any]]:
        return {name: field.to_internal_value for name, field in self.fields.items()}

    def check(self, data: dict[str, Any]) -> tuple[ChatRequest, list[str]]:
        """The request, and the unknown fields that were dropped because the site is not STRICT.
        Raises InvalidRequest."""
        unknown: Set[str] = (
            frozenset() if native_settings.STRICT else data.keys() - self._checks.keys()
        )
        known_fields = (
            {key: value for key, value in data.items() if key not in unknown} if unknown else data
        )
        try:
            if len(unknown) > MAX_UNKNOWN_FIELDS:
                raise FieldError(
                    min(unknown)[:MAX_SHOWN],
                    f"one of {len(unknown)} unknown fields; "
                    f"at most {MAX_UNKNOWN_FIELDS} are dropped",
                )
            return self.to_internal_value(known_fields), sorted(unknown)  # type: ignore[return-value]
        except FieldError as error:
            raise InvalidRequest(error.message, code=error.code, param=error.path) from None

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """For callers that use the serializer in DRF's way: the error is a dictionary of paths."""
        try:
            return super().run_validation(data)
        except FieldError as error:
            raise serializers.ValidationError(
                {error.path: [error.message]}, code=error.code
            ) from None

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        """Checks the fields that were sent, and stops at the first that is wrong."""
        checks = self._checks
        checked: dict[str, Any] = {}
        for key, value in data.items():
            check = checks.get(key)
            if check is None:
                raise unknown_field(key, checks)
            if value is not None:
                checked[key] = check(value)
        self._check_together(checked)
        return checked

    def _check_together(self, checked: dict[str, Any]) -> None:
        """Checks that concern more than one field."""
        if "model" not in checked and "tier" not in checked:
            raise FieldError("model", "this field is required")
        if "messages" not in checked:
            raise FieldError("messages", "this field is required")
        if "stream_options" in checked and not checked.get("stream"):
            raise FieldError("stream_options", "only allowed when stream is true")
        if "top_logprobs" in checked and not checked.get("logprobs"):
            raise FieldError("top_logprobs", "only allowed when logprobs is true")
        if (
            "tool_choice" in checked
            and not checked.get("tools")
            and checked["tool_choice"] not in ("none", "auto")
        ):
            raise FieldError("tool_choice", "only allowed when there are tools")
