"""The request of Responses, field by field:
https://platform.openai.com/docs/api-reference/responses/create (read 2026-11).

Only what is known and has the wrong shape is refused here. What a provider does not take is the
provider's business, and what another API cannot say is found by `unify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.inbound import request_serializer as common
from native_api.inbound.checks import (
    FieldError,
    any_object,
    anything,
    between,
    boolean,
    integer,
    list_of,
    number,
    one_of,
    string,
)
from native_api.inbound.openai.chat_serializer import EFFORT, output_limit
from native_api.inbound.openai.responses.items import INPUT
from native_api.inbound.openai.responses.tool_shapes import TOOLS, tool_choice
from native_api.inbound.request_serializer import RequestSerializer, field, require, require_model
from native_api.inbound.shapes import (
    Items,
    Kinds,
    Shape,
)

MAX_INCLUDED: Final = 100
MAX_RULES: Final = 100

NOT_OFFERED: Final[Mapping[str, str]] = {
    "conversation": "this site keeps no conversations; send the items of this one as `input`",
    "background": "this site runs nothing in the background; leave it out, or send false",
    "prompt": "this site has no prompt templates; send the text as `instructions` or `input`",
}
"""Fields that are refused -> what to do instead."""


def not_offered(value: Any, path: str) -> Any:
    raise FieldError(path, NOT_OFFERED[path], "unsupported_field")


def background(value: Any, path: str) -> Any:
    return not_offered(value, path) if boolean(value, path) else value


FORMAT: Final = Kinds(
    {
        "text": Shape({"type": string}),
        "json_object": Shape({"type": string}),
        "json_schema": Shape(
            {
                "type": string,
                "name": string,
                "schema": any_object,
                "description": string,
                "strict": boolean,
            },
            ("name", "schema"),
        ),
    }
)
TEXT: Final = Shape({"format": FORMAT, "verbosity": one_of("low", "medium", "high")})
REASONING: Final = Shape(
    {
        "effort": EFFORT,
        "summary": string,
        "generate_summary": string,
        "context": string,
        "mode": string,
    }
)
MODE: Final = Shape({"mode": string})
MODERATION: Final = Shape(
    {"model": string, "policy": Shape({"input": MODE, "output": MODE})}, ("model",)
)
CACHE_OPTIONS: Final = Shape(
    {"mode": string, "ttl": string, "comparison_response_id": string, "prewarm": boolean}
)


class ResponsesSerializer(RequestSerializer):
    """Checks a request for a response."""

    model = field(common.model)
    tier = field(common.tier)
    input = field(INPUT)
    instructions = field(string)
    stream = field(boolean)
    stream_options = field(Shape({"include_obfuscation": boolean}))
    max_output_tokens = field(output_limit)
    max_tool_calls = field(integer)
    temperature = field(number)
    top_p = field(number)
    top_logprobs = field(between(0, 20, integer))
    tools = field(TOOLS)
    tool_choice = field(tool_choice)
    parallel_tool_calls = field(boolean)
    text = field(TEXT)
    reasoning = field(REASONING)
    include = field(list_of(string, MAX_INCLUDED))
    truncation = field(one_of("auto", "disabled"))
    store = field(boolean)
    previous_response_id = field(string)
    conversation = field(not_offered)
    background = field(background)
    background_options = field(Shape({"completion_window": string, "continuation_id": string}))
    prompt = field(not_offered)
    context_management = field(
        Items(Shape({"type": string, "compact_threshold": integer}), MAX_RULES)
    )
    metadata = field(common.metadata)
    client_metadata = field(anything)
    moderation = field(MODERATION)
    user = field(string)
    safety_identifier = field(string)
    service_tier = field(string)
    prompt_cache_key = field(string)
    prompt_cache_options = field(CACHE_OPTIONS)
    prompt_cache_retention = field(string)
    access_programs = field(Shape({"cyber": string}))
    image = field(Shape({"context_compression": string}))
    conversation_id = field(common.conversation_id)
    fallbacks = field(common.fallbacks)
    provider_options = field(common.provider_options)

    def check_together(self, checked: dict[str, Any]) -> None:
        require_model(checked)
        if "previous_response_id" in checked:
            return
        require(checked, "input")
        if checked["input"] == []:
            raise FieldError("input", "expected at least one item")
