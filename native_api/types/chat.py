"""The unified chat request, reply and chunk: dicts in the shape of OpenAI's Chat Completions.

The shapes follow https://platform.openai.com/docs/api-reference/chat (read 2026-11). Our own fields
are marked "ours".
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Json = dict[str, Any]
"""A JSON object."""


class ToolCall(TypedDict):
    """`extra_content` (ours and Google's) contains what has to be sent back to the provider:
    `{"google": {"thought_signature": …}}`, `{"anthropic": {"caller": …}}`, each with `issued_by`.

    `id` is unique in a reply. It is "" in what a dialect reads, if the provider gave none; the
    gateway fills it in.
    """

    id: str
    type: Literal["function", "custom"]
    # {"name": str, "arguments": str}; arguments is the text that the model wrote
    function: NotRequired[Json]
    custom: NotRequired[Json]  # {"name": str, "input": str}
    extra_content: NotRequired[Json]


class Message(TypedDict):
    """One message. `content` is a string, a list of parts, or None if there are only tool calls.

    Parts: `{"type": "text", "text"}`, `{"type": "image_url", "image_url": {"url", "detail"?}}`,
    `{"type": "input_audio", "input_audio": {"data", "format"}}`, `{"type": "file", "file":
    {"file_data"?, "file_id"?, "filename"?, "file_url"? (ours)}}`, `{"type": "refusal", "refusal"}`
    (assistant only), `{"type": "video_url" or "audio_url", …: {"url"}}` (vLLM's). Any part may
    carry `cache_control: {"type": "ephemeral", "ttl"?}` (ours, Anthropic's shape), or OpenAI's
    `prompt_cache_breakpoint: {"mode": "explicit", "ttl"?}`. Parts, and members of messages and
    tools, that `dialects.shared.unknown_members` does not list are for OpenAI's own wire.

    `reasoning_details` (ours, OpenRouter's shape) has to be sent back to the provider on the next
    turn: a list of `{"type": "reasoning.text", "text", "signature"?}`, `{"type":
    "reasoning.summary", "summary"}` and `{"type": "reasoning.encrypted", "data"}`, each with
    `format` (the dialect that made it), `index` and optionally `id`. A dialect sends back only the
    ones of its own format.

    `issued_by`, in the items of `reasoning_details` and `provider_content` and in the objects of
    `extra_content`, names the provider that made them (`Dialect.issuer`). They are sent only to it:
    no other accepts its signatures.

    `provider_content` (ours) contains blocks that only one wire knows, such as the calls and
    results of its server tools: `{"format", "block", "index"}`, with the block as the provider
    wrote it. Clients may add blocks to their own messages (`{"format": "anthropic", "block":
    {"type": "search_result", …}}`); they are sent after the message's content.

    `annotations` are OpenAI's `url_citation`s; the `url` of a source without an address is "".

    `at`, `calls`, `reasoning`, `blocks` and `until` say where such items stood among text and calls
    (`dialects.shared.replay`). A client that sends a reply's message back unchanged sends back all
    of this, in the provider's order.
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
    # OpenRouter's: images that the model made, as `image_url` parts with an `index`
    images: NotRequired[list[Json]]
    annotations: NotRequired[list[Json]]
    function_call: NotRequired[Json | None]
    is_error: NotRequired[bool]  # ours: a tool result that reports a failure


class ChatRequest(TypedDict):
    """The unified request after the serializer has checked every field."""

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
    prompt_cache_retention: NotRequired[str]
    prompt_cache_options: NotRequired[Json]  # {"mode"?, "ttl"?}
    moderation: NotRequired[Json]  # {"model", "policy"?}
    # The sampling of other servers, see SAMPLING_EXTENSIONS.
    top_k: NotRequired[int]
    top_a: NotRequired[float]
    min_p: NotRequired[float]
    typical_p: NotRequired[float]
    repetition_penalty: NotRequired[float]
    repeat_penalty: NotRequired[float]
    length_penalty: NotRequired[float]
    mirostat: NotRequired[int]
    mirostat_tau: NotRequired[float]
    mirostat_eta: NotRequired[float]
    min_tokens: NotRequired[int]
    stop_token_ids: NotRequired[list[int]]
    ignore_eos: NotRequired[bool]
    # What other APIs call the reasoning, see REASONING_EXTENSIONS.
    reasoning: NotRequired[Json]
    thinking: NotRequired[Json]
    think: NotRequired[bool | str]
    enable_thinking: NotRequired[bool]
    thinking_budget: NotRequired[int]
    include_reasoning: NotRequired[bool]
    reasoning_format: NotRequired[str]
    reasoning_split: NotRequired[bool]
    chat_template_kwargs: NotRequired[Json]
    conversation_id: NotRequired[str]
    fallbacks: NotRequired[list[str]]
    provider_options: NotRequired[dict[str, Json]]


SAMPLING_EXTENSIONS = frozenset(
    {
        "top_k", "top_a", "min_p", "typical_p", "repetition_penalty", "repeat_penalty",
        "length_penalty", "mirostat", "mirostat_tau", "mirostat_eta", "min_tokens",
        "stop_token_ids", "ignore_eos",
    }
)  # fmt: skip
"""Fields of vLLM (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html), OpenRouter
(https://openrouter.ai/docs/api/reference/parameters), llama.cpp and Ollama that OpenAI does not
have (read 2026-11)."""

REASONING_EXTENSIONS = frozenset(
    {
        "reasoning", "thinking", "think", "enable_thinking", "thinking_budget", "include_reasoning",
        "reasoning_format", "reasoning_split", "chat_template_kwargs",
    }
)  # fmt: skip
"""What `reasoning_effort` is elsewhere: `reasoning` and `include_reasoning` at OpenRouter
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens), `thinking` at Anthropic,
DeepSeek and others, `enable_thinking` and `thinking_budget` at Qwen, `think` at Ollama,
`reasoning_format` at Groq, `reasoning_split` at MiniMax, `chat_template_kwargs` at vLLM and SGLang
(read 2026-11)."""

EXTENSION_FIELDS = SAMPLING_EXTENSIONS | REASONING_EXTENSIONS
"""Unified fields that OpenAI does not have."""

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
"""Fields that the gateway handles itself; dialects do not list them."""

DIALECT_FIELDS = frozenset(ChatRequest.__annotations__) - ROUTING_FIELDS
"""Fields that every dialect must list: as renamed, as built, or as what its wire cannot express."""

UNIFIED_FIELDS = DIALECT_FIELDS | ROUTING_FIELDS
"""All fields of the unified request. A request may have others, which only go on to targets of the
wire that they came by."""


class Usage(TypedDict):
    """Token counts. `prompt_tokens` includes cache reads and writes; `completion_tokens` includes
    reasoning.

    `prompt_tokens_details`: `cached_tokens`, `cache_write_tokens` (ours, OpenRouter's name), of
    which `cache_write_1h_tokens` (ours) for an hour, `audio_tokens`, `image_tokens`, and
    `cached_audio_tokens`, `cached_image_tokens` (ours). `completion_tokens_details`:
    `reasoning_tokens`, `audio_tokens`, `image_tokens`, `accepted_prediction_tokens`, `rejected_…`.
    `billed_units` (ours, Cohere's name): what the provider charges for, if it counts differently.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[Json]
    completion_tokens_details: NotRequired[Json]
    # Ours: uses of the provider's own tools, which are billed in addition to tokens.
    server_tool_use: NotRequired[Json]
    speed: NotRequired[str]  # Anthropic's, which decides the price
    # Anthropic's: model runs, some of which are billed in addition to the counts above.
    iterations: NotRequired[list[Any]]
    billed_units: NotRequired[Json]


class Choice(TypedDict):
    """`finish_reason` is `stop`, `length`, `tool_calls` or `content_filter`.

    `native_finish_reason` (OpenRouter's name) is the provider's own reason, if it says more:
    `pause_turn`, `SAFETY`.
    """

    index: int
    message: Json
    finish_reason: str | None
    native_finish_reason: NotRequired[str]
    logprobs: NotRequired[Json | None]


class ChatCompletion(TypedDict):
    """`id`, `created` and `model` may be empty if a wire has none; the gateway fills them in."""

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
    """A choice of a chunk. `delta` holds only what is new of its message."""

    index: int
    delta: Json
    finish_reason: str | None
    native_finish_reason: NotRequired[str]
    logprobs: NotRequired[Json | None]


class ChatCompletionChunk(TypedDict):
    """One chunk of a stream. It never contains `usage`, which is an attribute of the parser and is
    sent last."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    service_tier: NotRequired[str | None]
    system_fingerprint: NotRequired[str | None]
    citations: NotRequired[list[Any]]
