"""The vocabulary: the unified request, reply and chunk as plain dicts in OpenAI's shape, and the configuration values.

No behaviour beyond hiding secrets. The wire shapes follow https://platform.openai.com/docs/api-reference/chat
(read 2026-11); fields of ours are marked as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address, ip_network
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

from native_api.model_names import canonical

Json = dict[str, Any]


class Secret(str):
    """A string that shows itself only when used as one: its `repr` is fixed, and frozen values keep it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"


# --- the unified request -----------------------------------------------------------------------------------


class ToolCall(TypedDict):
    """`extra_content` (ours and Google's) carries what the provider wants back: `{"google": {"thought_signature": …}}`,
    `{"anthropic": {"caller": …}}`."""

    id: str
    type: Literal["function", "custom"]
    function: NotRequired[Json]  # {"name": str, "arguments": str}; arguments is the text the model wrote
    custom: NotRequired[Json]  # {"name": str, "input": str}
    extra_content: NotRequired[Json]


class Message(TypedDict):
    """One turn. `content` is a string, a list of parts, or None where tool calls stand alone.

    Parts: `{"type": "text", "text"}`, `{"type": "image_url", "image_url": {"url", "detail"?}}`,
    `{"type": "input_audio", "input_audio": {"data", "format"}}`, `{"type": "file", "file": {"file_data"?,
    "file_id"?, "filename"?, "file_url"? (ours)}}`, `{"type": "refusal", "refusal"}` (assistant only). Any part may
    carry `cache_control: {"type": "ephemeral", "ttl"?}` (ours, Anthropic's shape).

    `reasoning_details` (ours, OpenRouter's shape) is what the provider wants back on the next turn: a list of
    `{"type": "reasoning.text", "text", "signature"?}`, `{"type": "reasoning.summary", "summary"}` and
    `{"type": "reasoning.encrypted", "data"}`, each with `format` (the dialect that made it), `index` and
    optionally `id`. A dialect sends back only the ones of its own format.

    `provider_content` (ours) are blocks that only one wire knows, such as the calls and results of its server tools:
    `{"format", "block", "index"}`, the block as the provider wrote it. A client may write some itself into any other
    message (`{"format": "anthropic", "block": {"type": "search_result", …}}`): they come after the message's own content.

    `annotations` are OpenAI's `url_citation`s; the `url` of a source without an address is "".

    Where such items stood among text and calls is told by `at`, `calls`, `reasoning` and `until` (`dialects.replay`). A client
    that sends a reply's message back as it got it sends back all of this, in the order that the provider had.
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
    images: NotRequired[list[Json]]  # OpenRouter's: images that the model made, as `image_url` parts with an `index`
    annotations: NotRequired[list[Json]]
    function_call: NotRequired[Json | None]
    is_error: NotRequired[bool]  # ours: a tool result that reports a failure


class ChatRequest(TypedDict):
    """The unified request, as it leaves the serializer: every field checked, unknown ones refused."""

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


ROUTING_FIELDS = frozenset({"model", "tier", "conversation_id", "fallbacks", "provider_options", "stream", "stream_options"})
"""Fields that the gateway itself answers for; a dialect does not list them."""

DIALECT_FIELDS = frozenset(ChatRequest.__annotations__) - ROUTING_FIELDS
"""Fields that every dialect must decide about: rename, build, or list as what its wire cannot say."""


# --- the unified reply -------------------------------------------------------------------------------------


class Usage(TypedDict):
    """Token counts. `prompt_tokens` includes cache reads and writes; `completion_tokens` includes reasoning.

    `prompt_tokens_details`: `cached_tokens`, `cache_write_tokens` (ours, OpenRouter's name), of which `cache_write_1h_tokens` (ours)
    for an hour, `audio_tokens`, `image_tokens`, and `cached_audio_tokens`, `cached_image_tokens` (ours).
    `completion_tokens_details`: `reasoning_tokens`, `audio_tokens`, `image_tokens`, `accepted_prediction_tokens`, `rejected_…`.
    `billed_units` (ours, Cohere's name): what the provider charges for, where it counts otherwise.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[Json]
    completion_tokens_details: NotRequired[Json]
    server_tool_use: NotRequired[Json]  # ours: uses of the provider's own tools, billed beside tokens
    speed: NotRequired[str]  # Anthropic's, which decides the price
    iterations: NotRequired[list[Any]]  # Anthropic's: model runs, some of which are billed beside the counts above
    billed_units: NotRequired[Json]


class Choice(TypedDict):
    """`finish_reason`: `stop`, `length`, `tool_calls` or `content_filter`.

    `native_finish_reason` (OpenRouter's name) is the provider's own word, where it says more than that: `pause_turn`, `SAFETY`.
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
    """One piece of a stream. Never carries `usage`: that is the parser's attribute, and the engine sends it last."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    service_tier: NotRequired[str | None]
    system_fingerprint: NotRequired[str | None]
    citations: NotRequired[list[Any]]


class Event(NamedTuple):
    """One decoded piece of an upstream stream, whatever its framing.

    `type` is the SSE `event:` name, the binary event stream's `:event-type` (or `:exception-type`), or "".
    `data` is the event's whole data as text.
    """

    type: str
    data: str


# --- configuration values ----------------------------------------------------------------------------------

EMPTY: Mapping[str, Any] = MappingProxyType({})


def empty() -> Mapping[str, Any]:
    return EMPTY


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds."""

    connect: float = 5.0
    first_token: float = 60.0
    between_tokens: float = 30.0
    total: float = 600.0


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """How far the gateway goes to fetch the files of one request for providers that only take inline data."""

    max_bytes: int = 20 * 1024 * 1024
    max_files: int = 20
    seconds: float = 10.0
    private_networks: tuple[str, ...] = ()
    """Networks that are fetched from although they are not public, such as a site's own file server's."""

    def trusts(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether an address is in one of `private_networks`. Raises ValueError where one of them is no network."""
        return any(address in ip_network(network) for network in self.private_networks)


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a vendor's (or a model's) speech differs from its dialect's. A quirk needs two vendors or one recording."""

    max_tokens_field: str = ""
    """Where the dialect has two names for the output limit, the one this vendor takes ("" = what the model takes)."""
    unsupported: frozenset[str] = frozenset()
    """Unified fields this vendor refuses although its dialect has them. `field.kind` names one kind of a field:
    `response_format.json_schema`, `tool_choice.required`, `tools.custom`, `tools.strict`, `messages.name`."""
    roles: Mapping[str, str] = field(default_factory=empty)
    """Unified role -> the role this vendor takes: {"developer": "system"}."""
    stream_usage: bool = True
    """Whether `stream_options.include_usage` may be sent."""
    renamed: Mapping[str, str] = field(default_factory=empty)
    """Body field -> this vendor's name for it: {"seed": "random_seed"}."""
    extensions: frozenset[str] = frozenset()
    """What this vendor takes although OpenAI does not: of an assistant's message `reasoning_details`, `annotations`,
    `images` and `extra_content`; of parts and tools `cache_control`; of files `file_url`."""
    reasoning_field: str = ""
    """Where this vendor wants the reasoning text of earlier turns: `reasoning_content` or `reasoning`, `thinking` (a part of
    the content) or `think_tags` (at the head of the content, where it also comes from); "" = nowhere."""
    thinking: str = ""
    """The switch that turns reasoning off where `reasoning_effort: none` does not: `thinking` ({"type": "disabled"}) or
    `enable_thinking` (false, and true to turn it on)."""
    file_part: str = "file"
    """The kind of part that holds a document: `file`, `file_url` ({"url"}) or `document_url` (a string)."""
    text_parts: bool = True
    """Whether content that is text alone may come as a list of parts."""
    call_id_length: int = 0
    """The exact number of letters and digits that a tool call's id must have, 0 for any."""
    user_after_tools: bool = True
    """Whether a user's message may follow tool results directly."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Where and how to call a vendor. `auth` names the way the key is sent; see `engine.credentials`.

    `options` holds what only some dialects need: `api_version`, `region`, `project`, `location`, `deployment`.
    """

    name: str
    dialect: str
    base_url: str
    api_key: Secret = field(default=Secret(""), repr=False)
    auth: str = "bearer"
    headers: Mapping[str, str] = field(default_factory=empty, repr=False)
    timeouts: Timeouts = Timeouts()
    quirks: Quirks = Quirks()
    options: Mapping[str, Any] = field(default_factory=empty, repr=False)
    remote_files: RemoteFiles | None = None
    """None: remote files are never fetched for this provider."""
    retries: int = 1
    max_concurrency: int | None = None
    """Of each of its targets; None: any number."""
    price: Mapping[str, Any] | None = None
    """USD per million tokens: `INPUT`, `OUTPUT`, `CACHED`, `CACHE_WRITE`, … (`prices.Table`); None where the site tells none."""
    vendor: str = ""
    """The preset that it is of, under whose published prices its calls are charged; "" where there is none."""
    own_account: bool = False
    """Whether all callers may share what the provider keeps under this key: files, containers, stored responses, conversations,
    batches. If False, requests that name such state are refused, and the provider is asked not to store."""
    identity_hosts: frozenset[str] = frozenset()
    """Hosts, beside the vendor's own, that the machine's identity may be sent to: for `auth` aws, google and azure without a key."""
    unusable: str = ""
    """Why it must not be called, such as a stored key that cannot be read, for operators; "" if it may be called."""
    identity: str = ""
    """The name with a mark of address and key: what was found out about a provider is forgotten when either changes."""

    def __post_init__(self) -> None:
        if not self.identity:
            object.__setattr__(self, "identity", self.name)


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a model: the provider and the name the model has there. What it tells of its own wins over the provider's."""

    provider: Provider
    model: str
    weight: int = 1
    priority: int = 0
    own_timeouts: Timeouts | None = None
    own_retries: int | None = None
    own_max_concurrency: int | None = None
    price: Mapping[str, Any] | None = None
    cost: Decimal | None = field(default=None, repr=False, compare=False)
    """USD per million tokens of an ordinary mix, where the route chooses by price; only for comparing."""
    key: str = field(init=False, repr=False, compare=False)
    """What its health, speed and places are kept under: the same for every route and spelling that name the same model of the provider."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.provider.identity}/{canonical(self.model)}")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.model}"

    @property
    def timeouts(self) -> Timeouts:
        return self.own_timeouts or self.provider.timeouts

    @property
    def retries(self) -> int:
        return self.provider.retries if self.own_retries is None else self.own_retries

    @property
    def max_concurrency(self) -> int | None:
        return self.own_max_concurrency or self.provider.max_concurrency


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Names are kept for records that outlive the user or key.

    `allowed_models` are the key's patterns; empty means all. `granted_models` are those of the user and the user's groups; None
    means all. `groups` are pairs of id and name. The last two are filled in by `permissions.resolved`, as far as they matter.
    """

    user_id: int | str | None = None
    user_name: str = ""
    key_id: int | None = None
    key_name: str = ""
    allowed_models: tuple[str, ...] = ()
    granted_models: tuple[str, ...] | None = None
    groups: tuple[tuple[Any, str], ...] = ()

    @property
    def identity(self) -> str:
        """One party, whichever of its keys it uses; "" for anonymous callers and Python code that names nobody."""
        if self.user_id is not None:
            return f"user {self.user_id}"
        return "" if self.key_id is None else f"key {self.key_id}"


@dataclass(slots=True)
class UpstreamRequest:
    """What a dialect wants sent. `content` is `body` in JSON; credentials are added later, by the engine.

    `omitted` names the unified fields that were hints and could not be said (`x-native-omitted`).
    """

    url: str
    body: Json = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    omitted: tuple[str, ...] = ()
    content: bytes = field(default=b"", repr=False)
