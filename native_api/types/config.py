"""Configuration as values: how a provider is called, what a target is, how a vendor differs. All of
them are frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address, ip_network
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from native_api.types.model_names import canonical
from native_api.types.model_rules import ModelOverride, find_base_model

Strategy = Literal["ordered", "weighted", "least_busy", "fastest", "cheapest"]
STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
"""How a target is chosen among those of one priority."""

COST_DECIMALS: Final = 12
"""Decimal places of an amount in USD."""


class Secret(str):
    """A string whose `repr` does not show it, so a value that contains one may be printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"


EMPTY_MAPPING: Final[Mapping[str, Any]] = MappingProxyType({})


def empty_mapping() -> Mapping[str, Any]:
    """A default factory for fields."""
    return EMPTY_MAPPING


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a call and its parts may take, in seconds."""

    connect: float = 5.0
    """For the connection to the provider."""
    first_token: float = 60.0
    """From the request to the first token of a stream."""
    between_tokens: float = 30.0
    """From one token of a stream to the next."""
    total: float = 600.0
    """For the whole call."""


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """The limits for fetching the files of one request, for providers that only take inline
    data."""

    max_bytes: int = 20 * 1024 * 1024
    max_files: int = 20
    seconds: float = 10.0
    private_networks: tuple[str, ...] = ()
    """Networks that files may be fetched from although they are not public, such as that of the
    site's file server."""

    def trusts(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether an address is in one of `private_networks`."""
        return any(address in ip_network(network) for network in self.private_networks)


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a vendor's (or a model's) API differs from its dialect. A new quirk needs two vendors or
    one recording."""

    max_tokens_field: str = ""
    """If the dialect has two names for the output limit, the one that this vendor takes; "" for
    the one that the model takes."""
    unsupported: frozenset[str] = frozenset()
    """Unified fields that this vendor refuses although its dialect has them. `field.kind` names one
    kind of a field: `response_format.json_schema`, `tool_choice.required`, `tools.custom`,
    `tools.strict`, `messages.name`."""
    roles: Mapping[str, str] = field(default_factory=empty_mapping)
    """Unified role -> the role that this vendor takes: {"developer": "system"}."""
    stream_usage: bool = True
    """Whether `stream_options.include_usage` may be sent."""
    renamed: Mapping[str, str] = field(default_factory=empty_mapping)
    """Body field -> this vendor's name for it: {"seed": "random_seed"}."""
    extensions: frozenset[str] = frozenset()
    """Members that this vendor takes although OpenAI does not: in an assistant's message
    `reasoning_details`, `annotations`, `images` and `extra_content`; in parts and tools
    `cache_control`; in files `file_url`."""
    reasoning_field: str = ""
    """Where this vendor takes the reasoning text of earlier turns: `reasoning_content` or
    `reasoning`, `thinking` (a part of the content) or `think_tags` (at the beginning of the
    content, where it also sends it); "" if it takes none."""
    thinking: str = ""
    """The field that turns reasoning off if `reasoning_effort: none` does not: `thinking`
    ({"type": "disabled"}), `reasoning` ({"enabled": false}), `chat_template_kwargs`
    ({"enable_thinking": false, "thinking": false}) or `enable_thinking` (false, and true to turn it
    on)."""
    file_part: str = "file"
    """The kind of part that holds a document: `file`, `file_url` ({"url"}) or `document_url` (a
    string)."""
    text_parts: bool = True
    """Whether content that is only text may be sent as a list of parts."""
    call_id_length: int = 0
    """The exact number of letters and digits that a tool call's id must have; 0 for any number."""
    user_after_tools: bool = True
    """Whether a user's message may directly follow tool results."""
    tool_rules: str = ""
    """What this vendor refuses in the names and schemas of tools: a row of
    `dialects.shared.tool_rules`, such as `openai` or `moonshot`; "" for that of the model's
    maker."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Where and how to call a vendor: a member of PROVIDERS, or a row."""

    name: str
    """As the site calls it."""
    dialect: str
    """The name of its dialect."""
    base_url: str
    """Where its API is, without a slash at the end."""
    api_key: Secret = field(default=Secret(""), repr=False)
    """Its key; "" without one."""
    auth: str = "bearer"
    """The name of the method that adds the key to a request (AUTH)."""
    headers: Mapping[str, str] = field(default_factory=empty_mapping, repr=False)
    """Sent with every request."""
    timeouts: Timeouts = Timeouts()
    """For its targets, unless they have their own."""
    quirks: Quirks = Quirks()
    """How it differs from its dialect."""
    options: Mapping[str, Any] = field(default_factory=empty_mapping, repr=False)
    """Values that only some dialects need, such as `api_version`, `region` or `project`."""
    remote_files: RemoteFiles | None = None
    """None: remote files are never fetched for this provider."""
    retries: int = 1
    """How often one target is tried again."""
    max_concurrency: int | None = None
    """Concurrent calls to each of its targets, per process; None for any number."""
    price: Mapping[str, Any] | None = None
    """Its PRICE, in USD per million tokens: `INPUT`, `OUTPUT`, `CACHED`, `CACHE_WRITE`, …; None if
    the site has set none."""
    vendor: str = ""
    """The name of its preset, whose published prices its calls are charged with; "" if it has no
    preset."""
    own_account: bool = False
    """Whether all callers may share what the provider stores under this key: files, containers,
    responses, conversations, batches. If False, requests that refer to such state are refused, and
    the provider is asked not to store anything."""
    model_overrides: tuple[ModelOverride, ...] = ()
    """What the site and the preset say of models (MODEL_RULES), the most important first."""
    identity_hosts: frozenset[str] = frozenset()
    """Hosts other than the vendor's own that the machine's identity may be sent to, for `auth` aws,
    google and azure without a key."""
    unusable: str = ""
    """For operators: why it must not be called, such as a stored key that cannot be read; "" if it
    may be called."""
    identity: str = ""
    """The name with a digest of address and key, so that what was learned about a provider is
    forgotten when either changes."""

    def __post_init__(self) -> None:
        if not self.identity:
            object.__setattr__(self, "identity", self.name)


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a model: the provider and the name that the model has there. The overrides
    take precedence over the provider's values."""

    provider: Provider
    """Where it is."""
    model: str
    """The model's name there."""
    weight: int = 1
    """Its share of the calls, among targets of the same priority."""
    priority: int = 0
    """Lower ones are tried first."""
    timeouts_override: Timeouts | None = None
    """Its own timeouts, if any."""
    retries_override: int | None = None
    """Its own number of retries, if any."""
    max_concurrency_override: int | None = None
    """Its own number of concurrent calls, if any."""
    price: Mapping[str, Any] | None = None
    """Its own price, if any, in the form of the provider's."""
    cost: Decimal | None = field(default=None, repr=False, compare=False)
    """USD per million tokens of an ordinary mix, if the route chooses by price; only for
    comparisons."""
    base_model: str = ""
    """The model that stands behind `model` (BASE_MODEL), if the name does not say it: the one that
    an Azure deployment or an inference profile of Amazon Bedrock runs."""
    known_model: str = field(init=False, repr=False, compare=False)
    """The name that says which model this is: `base_model`, or what MODEL_RULES name, or
    `model`."""
    key: str = field(init=False, repr=False, compare=False)
    """The name under which its health, latency and concurrency are kept: the same for every route
    and spelling of the same model of the provider."""

    def __post_init__(self) -> None:
        named = self.base_model or find_base_model(self.provider.model_overrides, self.model)
        object.__setattr__(self, "known_model", named or self.model)
        object.__setattr__(self, "key", f"{self.provider.identity}/{canonical(self.model)}")

    def __str__(self) -> str:
        return f"{self.provider.name}/{self.model}"

    @property
    def timeouts(self) -> Timeouts:
        """Its own timeouts, or the provider's."""
        return self.timeouts_override or self.provider.timeouts

    @property
    def retries(self) -> int:
        """Its own number of retries, or the provider's."""
        return self.provider.retries if self.retries_override is None else self.retries_override

    @property
    def max_concurrency(self) -> int | None:
        """Its own number of concurrent calls, or the provider's."""
        return self.max_concurrency_override or self.provider.max_concurrency
