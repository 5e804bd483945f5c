"""The unified chat request, reply and chunk: plain dicts in the shape of OpenAI's Chat Completions.

The shapes follow https://platform.openai.com/docs/api-reference/chat (read 2026-11); fields of ours
are marked as such.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Json = dict[str, Any]


class ToolCall(TypedDict):
    """`extra_content` (ours and Google's) carries what the provider wants back: `{"google":
    {"thought_signature": …}}`, `{"anthropic": {"caller": …}}`."""

    id: str
    type: Literal["function", "custom"]
    function: NotRequired[
        Json
    ]  # {"name": str, "arguments": str}; arguments is the text the model wrote
    custom: NotRequired[Json]  # {"name": str, "input": str}
    extra_content: NotRequired[Json]


class Message(TypedDict):
    """One turn. `content` is a string, a list of parts, or None where tool calls stand alone.

    Parts: `{"type": "text", "text"}`, `{"type": "image_url", "image_url": {"url", "detail"?}}`,
    `{"type": "input_audio", "input_audio": {"data", "format"}}`, `{"type": "file", "file":
    {"file_data"?, "file_id"?, "filename"?, "file_url"? (ours)}}`, `{"type": "refusal", "refusal"}`
    (assistant only). Any part may carry `cache_control: {"type": "ephemeral", "ttl"?}` (ours,
    Anthropic's shape).

    `reasoning_details` (ours, OpenRouter's shape) is what the provider wants back on the next turn:
    a list of `{"type": "reasoning.text", "text", "signature"?}`, `{"type": "reasoning.summary",
    "summary"}` and `{"type": "reasoning.encrypted", "data"}`, each with `format` (the dialect that
    made it), `index` and optionally `id`. A dialect sends back only the ones of its own format.

    `provider_content` (ours) are blocks that only one wire knows, such as the calls and results of
    its server tools: `{"format", "block", "index"}`, the block as the provider wrote it. A client
    may write some itself into any other message (`{"format": "anthropic", "block": {"type":
    "search_result", …}}`): they come after the message's own content.

    `annotations` are OpenAI's `url_citation`s; the `url` of a source without an address is "".

    Where such items stood among text and calls is told by `at`, `calls`, `reasoning` and `until`
    (`dialects.replay`). A client that sends a reply's message back as it got it sends back all of
    this, in the order that the provider had.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: NotRequired[str | list[Json] | None]
    name: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    tool_call_id: NotRequired[str]
    refusal: NotRequired[str | None]
    audio: NotRequired[Json | None]
    reasoning_content: NotRequired[str | None]
    reasoning_details: NotRequired[list[Json]]
    provider_content: NotRequired[list[Json]]
    images: NotRequired[
        list[Json]
    ]  # OpenRouter's: images that the model made, as `image_url` parts with an `index`
    annotations: NotRequired[list[Json]]
    function_call: NotRequired[Json | None]
    is_error: NotRequired[bool]  # ours: a tool result that reports a failure


class ChatRequest(TypedDict):
    """The unified request, as it leaves the serializer: every field checked, unknown ones
    refused."""

    model: str
    messages: list[Message]
    tier: NotRequired[Literal["simple", "moderate", "complex"]]
    stream: NotRequired[bool]
    stream_options: NotRequired[Json]
    temperature: NotRequired[float]
    top_p: NotRequired[float]
    max_tokens: NotRequired[int]
    max_completion_tokens: NotRequired[int]
    stop: NotRequired[str | list[str]]
    n: NotRequired[int]
    seed: NotRequired[int]
    presence_penalty: NotRequired[float]
    frequency_penalty: NotRequired[float]
    logit_bias: NotRequired[dict[str, float]]
    logprobs: NotRequired[bool]
    top_logprobs: NotRequired[int]
    tools: NotRequired[list[Json]]
    tool_choice: NotRequired[str | Json]
    parallel_tool_calls: NotRequired[bool]
    response_format: NotRequired[Json]
    reasoning_effort: NotRequired[str]
    verbosity: NotRequired[str]
    modalities: NotRequired[list[str]]
    audio: NotRequired[Json]
    prediction: NotRequired[Json]
    metadata: NotRequired[dict[str, str]]
    user: NotRequired[str]
    safety_identifier: NotRequired[str]
    prompt_cache_key: NotRequired[str]
    service_tier: NotRequired[str]
    store: NotRequired[bool]
    web_search_options: NotRequired[Json]
    conversation_id: NotRequired[str]
    fallbacks: NotRequired[list[str]]
    provider_options: NotRequired[dict[str, Json]]


ROUTING_FIELDS = frozenset(
    {
        "model",
        "tier",
        "conversation_id",
        "fallbacks",
        "provider_options",
        "stream",
        "stream_options",
    }
)
"""Fields that the gateway itself answers for; a dialect does not list them."""

DIALECT_FIELDS = frozenset(ChatRequest.__annotations__) - ROUTING_FIELDS
"""Fields that every dialect must decide about: rename, build, or list as what its wire cannot
say."""


class Usage(TypedDict):
    """Token counts. `prompt_tokens` includes cache reads and writes; `completion_tokens` includes
    reasoning.

    `prompt_tokens_details`: `cached_tokens`, `cache_write_tokens` (ours, OpenRouter's name), of
    which `cache_write_1h_tokens` (ours) for an hour, `audio_tokens`, `image_tokens`, and
    `cached_audio_tokens`, `cached_image_tokens` (ours). `completion_tokens_details`:
    `reasoning_tokens`, `audio_tokens`, `image_tokens`, `accepted_prediction_tokens`, `rejected_…`.
    `billed_units` (ours, Cohere's name): what the provider charges for, where it counts otherwise.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[Json]
    completion_tokens_details: NotRequired[Json]
    server_tool_use: NotRequired[
        Json
    ]  # ours: uses of the provider's own tools, billed beside tokens
    speed: NotRequired[str]  # Anthropic's, which decides the price
    iterations: NotRequired[
        list[Any]
    ]  # Anthropic's: model runs, some of which are billed beside the counts above
    billed_units: NotRequired[Json]


class Choice(TypedDict):
    """`finish_reason`: `stop`, `length`, `tool_calls` or `content_filter`.

    `native_finish_reason` (OpenRouter's name) is the provider's own word, where it says more than
    that: `pause_turn`, `SAFETY`.
    """

    index: int
    message: Json
    finish_reason: str | None
    native_finish_reason: NotRequired[str]
    logprobs: NotRequired[Json | None]


class ChatCompletion(TypedDict):
    """`id`, `created` and `model` may be empty when a wire has none: the engine fills them in."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: NotRequired[Usage]
    service_tier: NotRequired[str | None]
    system_fingerprint: NotRequired[str | None]
    citations: NotRequired[list[Any]]


class ChunkChoice(TypedDict):
    index: int
    delta: Json
    finish_reason: str | None
    native_finish_reason: NotRequired[str]
    logprobs: NotRequired[Json | None]


class ChatCompletionChunk(TypedDict):
    """One piece of a stream. Never carries `usage`: that is the parser's attribute, and the engine
    sends it last."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    service_tier: NotRequired[str | None]
    system_fingerprint: NotRequired[str | None]
    citations: NotRequired[list[Any]]
