"""What the gateway owns in a provider's body: one table per wire of the members that decide access,
price, usage, framing, state and addresses. A caller sets them by the unified request alone, which
is checked, reserved for and recorded; never by `provider_options`. The output limit, the number of
answers and the service tier of a body as it is sent are read here too.

A path names a member: `options.num_predict`, and `tools[].model` for a member of each item of a
list. Names are compared without capitals, `_` and `-`: Google's servers take `maxOutputTokens` and
`max_output_tokens`, and Go's JSON decoder takes any capitals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from native_api.exceptions import UnsupportedField
from native_api.types import Json

Tree = Mapping[str, Any]
"""Normalised member names; a leaf is the kind of decision, `[]` leads to the items of a list."""

MAX_SHOWN: Final = 50
"""Characters of a member's name in an error; longer names are not remembered either."""

REASONS: Final[Mapping[str, str]] = {
    "access": "it decides which model answers; set `model` or `fallbacks` in the request itself",
    "output": "it decides how much may be produced; set `max_completion_tokens` in the request itself",
    "answers": "it decides how many answers are produced; set `n` in the request itself",
    "price": "it decides the price of the call; only `service_tier` in the request itself may do that",
    "usage": "it decides whether the usage of the call is known; the gateway sets it",
    "framing": "it decides how the reply is framed; set `stream` in the request itself",
    "priority": "it decides whose request is served first",
    "state": "what a provider keeps belongs to all callers of its key; an operator can allow it with OWN_ACCOUNT",
    "address": "it decides where the provider connects to",
}
"""Kind of decision -> why a caller may not set the member, and what to do instead."""

ACCESS: Final = {"model": "access", "models": "access", "fallbacks": "access"}
STREAM: Final = {"stream": "framing", "stream_options": "usage"}

CHAT: Final = {
    **ACCESS,
    **STREAM,
    "route": "access",
    "preset": "access",
    "tools[].model": "access",
    "max_tokens": "output",
    "max_completion_tokens": "output",
    "max_output_tokens": "output",
    "max_new_tokens": "output",
    "n": "answers",
    "best_of": "answers",
    "use_beam_search": "answers",
    "service_tier": "price",
    "speed": "price",
    "plugins": "price",
    "usage": "usage",
    "background": "usage",
    "priority": "priority",
    "store": "state",
    "previous_response_id": "state",
    "conversation": "state",
    "container": "state",
    "mcp_servers": "address",
}
"""Of the whole family of OpenAI-compatible servers: a gateway behind this one may know members that
OpenAI does not."""

ANTHROPIC: Final = {
    **ACCESS,
    "stream": "framing",
    "max_tokens": "output",
    "service_tier": "price",
    "speed": "price",
    "inference_geo": "price",
    "tools[].model": "access",
    "mcp_servers": "address",
    "container": "state",
}

BEDROCK_MODELS: Final = {
    **ANTHROPIC,
    "max_tokens_to_sample": "output",
    "max_completion_tokens": "output",
    "max_output_tokens": "output",
    "max_new_tokens": "output",
    "max_gen_len": "output",
    "inferenceConfig.max_new_tokens": "output",
    "textGenerationConfig.maxTokenCount": "output",
    "n": "answers",
    "num_generations": "answers",
    "num_results": "answers",
    "num_return_sequences": "answers",
}
"""What the makers of models on Bedrock call these members in their own fields."""

OWNED: Final[Mapping[str, Mapping[str, str]]] = {
    "openai": {**CHAT, **{f"extra_body.{path}": kind for path, kind in CHAT.items()}},
    "openai_responses": {
        **ACCESS,
        **STREAM,
        "tools[].model": "access",
        "max_output_tokens": "output",
        "max_tokens": "output",
        "max_completion_tokens": "output",
        "n": "answers",
        "service_tier": "price",
        "speed": "price",
        "plugins": "price",
        "background": "usage",
        "priority": "priority",
        "store": "state",
        "previous_response_id": "state",
        "conversation": "state",
        "prompt": "state",
    },
    "anthropic": ANTHROPIC,
    "anthropic_vertex": ANTHROPIC,
    "gemini": {
        **ACCESS,
        "generationConfig.maxOutputTokens": "output",
        "generationConfig.candidateCount": "answers",
        "serviceTier": "price",
        "store": "state",
        "cachedContent": "state",
    },
    "bedrock": {
        **ACCESS,
        "modelId": "access",
        "inferenceConfig.maxTokens": "output",
        "serviceTier": "price",
        "performanceConfig": "price",
        **{f"additionalModelRequestFields.{path}": kind for path, kind in BEDROCK_MODELS.items()},
    },
    "cohere": {
        **ACCESS,
        "stream": "framing",
        "max_tokens": "output",
        "num_generations": "answers",
        "priority": "priority",
    },
    "ollama": {**ACCESS, "stream": "framing", "options.num_predict": "output"},
}
"""Wire (`Dialect.name`) -> path of a member -> the kind of decision. Sources: each wire's
reference, named in its dialect's module."""


def normalize_name(name: str) -> str:
    """A member's name as the most lenient of servers compares it."""
    return _remembered(name) if len(name) <= MAX_SHOWN else _normal(name)


def _normal(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


_remembered: Final = lru_cache(maxsize=2048)(_normal)


def check_options(wire: str, options: Mapping[str, Any], place: str, own_account: bool) -> None:
    """Refuse options that set an owned member, or that put anything but an object or a list where
    one belongs around it.

    `own_account` allows what decides about state. Raises UnsupportedField naming the member below
    `place`.
    """
    _check(options, _tree(wire), place, frozenset({"state"}) if own_account else frozenset())


def _check(options: Mapping[str, Any], tree: Tree, place: str, allowed: frozenset[str]) -> None:
    for name, value in options.items():
        below = tree.get(normalize_name(name))
        if below is None or (isinstance(below, str) and below in allowed):
            continue
        member = f"{place}.{name[:MAX_SHOWN]}"
        if isinstance(below, str):
            raise UnsupportedField(member, REASONS[below])
        if "[]" in below:
            _check_items(value, below["[]"], member, allowed)
        elif isinstance(value, Mapping):
            _check(value, below, member, allowed)
        else:
            raise UnsupportedField(member, "expected an object")


def _check_items(value: Any, tree: Tree, place: str, allowed: frozenset[str]) -> None:
    if not isinstance(value, list):
        raise UnsupportedField(place, "expected a list")
    for position, item in enumerate(value):
        if isinstance(item, Mapping):
            _check(item, tree, f"{place}[{position}]", allowed)


@cache
def _tree(wire: str) -> Tree:
    tree: dict[str, Any] = {}
    for path, kind in OWNED[wire].items():
        *parents, last = path.replace("[]", ".[]").split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent if parent == "[]" else normalize_name(parent), {})
        node[normalize_name(last)] = kind
    return tree


# --- reading a body as it is sent -------------------------------------------------------------------------


def read_output_limit(wire: str, body: Json) -> int | None:
    """The most tokens that one answer to `body` may have, the dialect's own default included; None
    if nothing limits it."""
    return max(_numbers(wire, body, "output"), default=None)


def read_choice_count(wire: str, body: Json) -> int:
    """How many answers `body` asks for."""
    return max(_numbers(wire, body, "answers"), default=1)


def read_requested_tier(wire: str, body: Json) -> str:
    """The service tier that `body` asks for, in the wire's own word; "" if it asks for none."""
    for name in ("service_tier", "serviceTier"):
        tier = body.get(name)
        if isinstance(tier, Mapping):
            tier = tier.get("type")
        if isinstance(tier, str):
            return tier
    return ""


def _numbers(wire: str, body: Json, kind: str) -> Iterator[int]:
    for steps in _paths(wire, kind):
        value: Any = body
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            yield value


@cache
def _paths(wire: str, kind: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.split(".")) for path, each in OWNED[wire].items() if each == kind)
