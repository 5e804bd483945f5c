"""Configuration values: how a provider is called, what a target is, how a vendor differs. Frozen,
without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address, ip_network
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from native_api.types.model_names import canonical

Strategy = Literal["ordered", "weighted", "least_busy", "fastest", "cheapest"]
STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
"""How a target is chosen among those of one priority."""

COST_DECIMALS: Final = 12
"""Decimal places of an amount in USD."""


class Secret(str):
    """A string that shows itself only when used as one: its `repr` is fixed, and frozen values keep
    it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"


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
    """How far the gateway goes to fetch the files of one request for providers that only take
    inline data."""

    max_bytes: int = 20 * 1024 * 1024
    max_files: int = 20
    seconds: float = 10.0
    private_networks: tuple[str, ...] = ()
    """Networks that are fetched from although they are not public, such as a site's own file
    server's."""

    def trusts(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether an address is in one of `private_networks`. Raises ValueError where one of them
        is no network."""
        return any(address in ip_network(network) for network in self.private_networks)


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a vendor's (or a model's) speech differs from its dialect's. A quirk needs two vendors or
    one recording."""

    max_tokens_field: str = ""
    """Where the dialect has two names for the output limit, the one this vendor takes ("" = what
    the model takes)."""
    unsupported: frozenset[str] = frozenset()
    """Unified fields this vendor refuses although its dialect has them. `field.kind` names one kind
    of a field: `response_format.json_schema`, `tool_choice.required`, `tools.custom`,
    `tools.strict`, `messages.name`."""
    roles: Mapping[str, str] = field(default_factory=empty)
    """Unified role -> the role this vendor takes: {"developer": "system"}."""
    stream_usage: bool = True
    """Whether `stream_options.include_usage` may be sent."""
    renamed: Mapping[str, str] = field(default_factory=empty)
    """Body field -> this vendor's name for it: {"seed": "random_seed"}."""
    extensions: frozenset[str] = frozenset()
    """What this vendor takes although OpenAI does not: of an assistant's message
    `reasoning_details`, `annotations`, `images` and `extra_content`; of parts and tools
    `cache_control`; of files `file_url`."""
    reasoning_field: str = ""
    """Where this vendor wants the reasoning text of earlier turns: `reasoning_content` or
    `reasoning`, `thinking` (a part of the content) or `think_tags` (at the head of the content,
    where it also comes from); "" = nowhere."""
    thinking: str = ""
    """The switch that turns reasoning off where `reasoning_effort: none` does not: `thinking`
    ({"type": "disabled"}) or `enable_thinking` (false, and true to turn it on)."""
    file_part: str = "file"
    """The kind of part that holds a document: `file`, `file_url` ({"url"}) or `document_url` (a
    string)."""
    text_parts: bool = True
    """Whether content that is text alone may come as a list of parts."""
    call_id_length: int = 0
    """The exact number of letters and digits that a tool call's id must have, 0 for any."""
    user_after_tools: bool = True
    """Whether a user's message may follow tool results directly."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Where and how to call a vendor. `auth` names the way the key is sent; see
    `engine.credentials`.

    `options` holds what only some dialects need: `api_version`, `region`, `project`, `location`,
    `deployment`.
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
    """USD per million tokens: `INPUT`, `OUTPUT`, `CACHED`, `CACHE_WRITE`, … (`prices.Table`); None
    where the site tells none."""
    vendor: str = ""
    """The preset that it is of, under whose published prices its calls are charged; "" where there
    is none."""
    own_account: bool = False
    """Whether all callers may share what the provider keeps under this key: files, containers,
    stored responses, conversations, batches. If False, requests that name such state are refused,
    and the provider is asked not to store."""
    identity_hosts: frozenset[str] = frozenset()
    """Hosts, beside the vendor's own, that the machine's identity may be sent to: for `auth` aws,
    google and azure without a key."""
    unusable: str = ""
    """Why it must not be called, such as a stored key that cannot be read, for operators; "" if it
    may be called."""
    identity: str = ""
    """The name with a mark of address and key: what was found out about a provider is forgotten
    when either changes."""

    def __post_init__(self) -> None:
        if not self.identity:
            object.__setattr__(self, "identity", self.name)


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a model: the provider and the name the model has there. What it tells of its
    own wins over the provider's."""

    provider: Provider
    model: str
    weight: int = 1
    priority: int = 0
    own_timeouts: Timeouts | None = None
    own_retries: int | None = None
    own_max_concurrency: int | None = None
    price: Mapping[str, Any] | None = None
    cost: Decimal | None = field(default=None, repr=False, compare=False)
    """USD per million tokens of an ordinary mix, where the route chooses by price; only for
    comparing."""
    key: str = field(init=False, repr=False, compare=False)
    """What its health, speed and places are kept under: the same for every route and spelling that
    name the same model of the provider."""

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
