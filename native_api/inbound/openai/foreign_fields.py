"""Top-level fields that clients of other gateways and servers send with a chat, and spellings of
OpenAI's own fields that OpenAI does not take. What the gateway itself does about them is done here,
before the request is checked; what a provider does about them is up to the dialects.

Sources, read 2026-11: https://openrouter.ai/docs/api/reference/parameters (OpenRouter),
https://docs.litellm.ai/docs/proxy/user_keys (LiteLLM's proxy),
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (vLLM),
https://docs.together.ai/docs/json-mode and
https://github.com/ggml-org/llama.cpp/tree/master/tools/server (schemas in the response format).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from native_api.inbound import request_serializer as common
from native_api.inbound.checks import any_object, list_of, string

Json = dict[str, Any]

REFUSED: Final[Mapping[str, str]] = {
    "system": (
        "Chat Completions have no such field; send the instructions as the first of `messages`, "
        '{"role": "system", "content": "…"}'
    ),
    "functions": (
        "OpenAI has replaced this field; send each function in `tools`, as "
        '{"type": "function", "function": {…}}; calls then come as `tool_calls`'
    ),
    "function_call": (
        'OpenAI has replaced this field; use `tool_choice`: "auto", "none", or '
        '{"type": "function", "function": {"name": "…"}}'
    ),
    "provider": (
        "the gateway chooses the provider; name another `model`, or send OpenRouter's preferences "
        "as provider_options.openrouter.provider"
    ),
    "plugins": "the gateway runs no plugins; for a search use `web_search_options`",
    **dict.fromkeys(
        (
            "guided_json", "guided_regex", "guided_choice", "guided_grammar",
            "guided_decoding_backend", "guided_whitespace_pattern", "structured_outputs", "grammar",
        ),
        'describe the answer in `response_format`, as {"type": "json_schema", "json_schema": '
        '{"name": "…", "schema": {…}}}; a server of yours that has this field takes it in '
        "provider_options.PROVIDER",
    ),
}  # fmt: skip
"""Fields that are never sent on, because leaving them out would change the answer, or because they
decide what the gateway does -> what to do instead."""

LEFT_OUT: Final = frozenset(
    {
        "route", "transforms", "trace", "guardrails", "cache", "caching", "num_retries",
        "max_retries", "timeout", "request_timeout", "stream_timeout", "drop_params",
        "additional_drop_params", "allowed_openai_params", "litellm_trace_id", "litellm_call_id",
        "context_window_fallback_dict", "no-log", "mock_response",
    }
)  # fmt: skip
"""Requests to OpenRouter or to LiteLLM's proxy themselves, which this gateway does not follow. They
are not for the provider: they are left out and reported."""

SESSION_FIELDS: Final = ("session_id", "litellm_session_id")
"""Other gateways' names of `conversation_id`."""

MAX_SESSION: Final = common.MAX_CONVERSATION_ID_LENGTH

MAX_TAGS: Final = 100
TAGS: Final = list_of(string, MAX_TAGS)
MODELS: Final = list_of(common.model, common.MAX_FALLBACKS + 1)

MAX_METADATA_DEPTH: Final = 5
"""Objects within each other that become pairs of their own; deeper ones are left out."""

TOOL_CHOICES: Final = {"any": "required", "auto": "auto", "none": "none"}
"""Anthropic's and Mistral's words -> OpenAI's."""


def adapt_fields(data: Json) -> tuple[Json, list[str]]:
    """The request in the gateway's own fields, and the names of what was left out. `data` is not
    changed. Raises FieldError."""
    steps = [step for name, step in STEPS.items() if data.get(name) is not None]
    if not steps and not data.keys() & LEFT_OUT:
        return data, []
    adapted = dict(data)
    omitted = [
        name for name in data if name in LEFT_OUT and adapted.pop(name) not in (None, False, [], {})
    ]
    for step in dict.fromkeys(steps):
        omitted += step(adapted)
    return adapted, omitted


# --- fields of other gateways --------------------------------------------------------------------


def _adapt_models(request: Json) -> list[str]:
    """OpenRouter's `models`: the first is `model` if that is absent, the others are fallbacks."""
    models = MODELS(request.pop("models"), "models")
    if models and request.get("model") is None and request.get("tier") is None:
        request["model"] = models[0]
    fallbacks = request.get("fallbacks") or []
    if isinstance(fallbacks, list):
        others = [name for name in models if name != request.get("model") and name not in fallbacks]
        if others:
            request["fallbacks"] = [*fallbacks, *others]
    return []


def _adapt_fallbacks(request: Json) -> list[str]:
    """LiteLLM's `[{"model": NAME}]`."""
    if isinstance(request["fallbacks"], list):
        request["fallbacks"] = [
            item["model"] if isinstance(item, dict) and item.keys() == {"model"} else item
            for item in request["fallbacks"]
        ]
    return []


def _adapt_session(request: Json) -> list[str]:
    omitted = []
    for name in SESSION_FIELDS:
        session = request.pop(name, None)
        if session is None or request.get("conversation_id") == session:
            continue
        if request.get("conversation_id") is None and 0 < len(string(session, name)) <= MAX_SESSION:
            request["conversation_id"] = session
        else:
            omitted.append(name)
    return omitted


def _adapt_usage(request: Json) -> list[str]:
    """OpenRouter's `{"include": true}` asks for what every reply has."""
    usage = request.pop("usage")
    return [] if isinstance(usage, dict) and usage.keys() <= {"include"} else ["usage"]


# --- metadata ------------------------------------------------------------------------------------


def _adapt_metadata(request: Json) -> list[str]:
    """LiteLLM's `litellm_metadata` and `tags`, and metadata with other values than strings, become
    pairs of strings. What has no room in a record is left out."""
    sources = {name: request.pop(name, None) for name in ("litellm_metadata", "tags")}
    own = request.get("metadata")
    if not any(sources.values()) and (not isinstance(own, dict) or _is_plain(own)):
        return []
    pairs = dict(own) if isinstance(own, dict) and _is_plain(own) else {}
    added = [] if pairs or own is None else [*_flatten(any_object(own, "metadata"))]
    if sources["litellm_metadata"]:
        added += _flatten(any_object(sources["litellm_metadata"], "litellm_metadata"))
    if sources["tags"]:
        added.append(("tags", ",".join(TAGS(sources["tags"], "tags"))))
    is_complete = True
    for name, value in added:
        if len(pairs) < common.MAX_METADATA_PAIRS and _fits(name, value):
            pairs.setdefault(name, value)
        else:
            is_complete = False
    if pairs:
        request["metadata"] = pairs
    else:
        request.pop("metadata", None)
    return [] if is_complete else ["metadata"]


def _is_plain(metadata: Json) -> bool:
    return all(isinstance(value, str) for value in metadata.values())


def _flatten(values: Json, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, str]]:
    """The pairs of nested objects: `{"a": {"b": 1}}` is `a.b: "1"`. Null says nothing."""
    for key, value in values.items():
        name = f"{prefix}{key[:MAX_FLATTENED]}"
        if len(name) > common.MAX_METADATA_KEY_LENGTH:  # What is in it has no room either.
            yield name, TOO_LONG
        elif isinstance(value, dict) and depth < MAX_METADATA_DEPTH:
            yield from _flatten(value, f"{name}.", depth + 1)
        elif isinstance(value, str):
            yield name, value
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, int | float):
            yield name, str(value)
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            yield name, ",".join(value)
        elif value is not None:
            yield name, TOO_LONG


MAX_FLATTENED: Final = common.MAX_METADATA_KEY_LENGTH + 1
"""Characters of a name that are read, so that long names of objects are not repeated for all that
is in them."""

TOO_LONG: Final = "x" * (common.MAX_METADATA_VALUE_LENGTH + 1)
"""Stands for a value that has no form in a record."""


def _fits(name: str, value: str) -> bool:
    return (
        len(name) <= common.MAX_METADATA_KEY_LENGTH
        and len(value) <= common.MAX_METADATA_VALUE_LENGTH
        and "\0" not in name + value
    )


# --- spellings of OpenAI's own fields ------------------------------------------------------------


def _adapt_stream_options(request: Json) -> list[str]:
    """Without a stream they say nothing. vLLM's `continuous_usage_stats` asks for usage in every
    event, which OpenAI's clients do not expect; the last event has it in any case."""
    options = request["stream_options"]
    if not request.get("stream"):
        del request["stream_options"]
    elif isinstance(options, dict) and "continuous_usage_stats" in options:
        request["stream_options"] = {
            name: value for name, value in options.items() if name != "continuous_usage_stats"
        }
    return []


def _adapt_top_logprobs(request: Json) -> list[str]:
    if request["top_logprobs"] == 0 and not request.get("logprobs"):
        del request["top_logprobs"]
    return []


def _adapt_tool_choice(request: Json) -> list[str]:
    choice = request["tool_choice"]
    kind = choice.get("type") if isinstance(choice, dict) else None
    if choice == "any":
        request["tool_choice"] = "required"
    elif isinstance(kind, str) and kind in TOOL_CHOICES:
        request["tool_choice"] = TOOL_CHOICES[kind]
    elif kind == "tool" and "name" in choice:
        request["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    return []


def _adapt_response_format(request: Json) -> list[str]:
    """A schema beside the type (Together, llama.cpp) goes where OpenAI has it, and gets the name
    that OpenAI requires."""
    written = request["response_format"]
    if not isinstance(written, dict) or written.get("type") not in ("json_object", "json_schema"):
        return []
    schema, inner = written.get("schema"), written.get("json_schema")
    is_beside = isinstance(schema, dict) and inner is None
    if is_beside:
        inner = {"schema": schema}
    if not isinstance(inner, dict) or "schema" not in inner:
        return []
    others = {key: value for key, value in written.items() if not (is_beside and key == "schema")}
    named = inner if inner.get("name") is not None else {**inner, "name": "answer"}
    request["response_format"] = {**others, "type": "json_schema", "json_schema": named}
    return []


STEPS: Final[Mapping[str, Callable[[Json], list[str]]]] = {
    "fallbacks": _adapt_fallbacks,
    "models": _adapt_models,
    "session_id": _adapt_session,
    "litellm_session_id": _adapt_session,
    "usage": _adapt_usage,
    "metadata": _adapt_metadata,
    "litellm_metadata": _adapt_metadata,
    "tags": _adapt_metadata,
    "stream_options": _adapt_stream_options,
    "top_logprobs": _adapt_top_logprobs,
    "tool_choice": _adapt_tool_choice,
    "response_format": _adapt_response_format,
}
"""Field -> what is done about it, in this order."""

UNDERSTOOD: Final = STEPS.keys() | LEFT_OUT | REFUSED.keys()
"""Fields that are known, although no provider gets them."""
