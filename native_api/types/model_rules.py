"""What a model refuses or needs, as values: the members of a rule, and how a site changes them.

The table of known models is `dialects.shared.model_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

from native_api.types.model_names import canonical

Reasoning = Literal["", "always", "on", "off", "never"]
"""Whether a model reasons: `on` and `off` if no effort is asked for, and an effort of `none` turns
it off; "" if that is not known."""
ToolsWithEffort = Literal["any", "omitted", "none"]

NO_FIELDS: Final[frozenset[str]] = frozenset()
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""The values of `reasoning_effort`, from the least to the most."""


@dataclass(frozen=True, slots=True)
class ModelRule:
    """What one model refuses or needs, whoever serves it."""

    refused: frozenset[str] = NO_FIELDS
    """Unified fields that it refuses."""
    refused_while_reasoning: frozenset[str] = NO_FIELDS
    """Unified fields that it refuses only while it reasons."""
    exclusive: tuple[str, ...] = ()
    """Unified fields of which it takes one: the first of them that the request has."""
    reasoning: Reasoning = ""
    """Whether it reasons."""
    efforts: tuple[str, ...] = ()
    """The values of `reasoning_effort` that it takes; empty for all, or if that is not known."""
    tools_with_effort: ToolsWithEffort = "any"
    """Which effort Chat Completions take beside function tools: any, none at all (`omitted`), or
    only an explicit `none`."""
    thinks_only_in_streams: bool = False
    """Whether a complete reply is refused unless thinking is turned off."""
    max_tokens_field: str = ""
    """The only name of the output limit that it takes; "" for either."""
    roles: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Unified role -> the role it takes: {"system": "user"}."""
    user_after_tools: bool = False
    """Whether a user's message may directly follow tool results, although the vendor's `Quirks`
    say that it may not."""
    reasoning_field: str = ""
    """Where it takes the reasoning text of earlier turns on Chat Completions, if the vendor's
    `Quirks` name no field: `reasoning_content` or `reasoning`; "" if it takes none."""
    needs_reasoning: bool = False
    """Whether a call that comes back without its reasoning is an error while the model reasons.
    Such a conversation goes on without reasoning."""
    takes_empty_reasoning: bool = False
    """Whether an empty text, if the client wrote it, counts as such a call's reasoning."""
    thinking: str = ""
    """Its maker's switch for thinking, in the words of `Quirks.thinking`: for a provider without a
    preset, if the model cannot go on reasoning."""
    changed: frozenset[str] = NO_FIELDS
    """The members that the site has set, which take precedence over the vendor's `Quirks`."""

    def reasons(self, effort: str | None) -> bool:
        """Whether the model reasons at this effort; None stands for its default."""
        if self.reasoning in ("always", "never"):
            return self.reasoning == "always"
        return effort != "none" if effort else self.reasoning == "on"

    def can_stop_reasoning(self, effort: str | None) -> bool:
        """Whether the model reasons at this effort, needs its earlier reasoning back for that, and
        can do without."""
        return self.needs_reasoning and self.reasoning != "always" and self.reasons(effort)

    def refused_fields(self, effort: str | None) -> frozenset[str]:
        """The unified fields that the model refuses at this effort (None: its default)."""
        if self.refused_while_reasoning and self.reasons(effort):
            return self.refused | self.refused_while_reasoning
        return self.refused

    def excess_fields(self, fields: Mapping[str, Any]) -> tuple[str, ...]:
        """The `exclusive` fields after the first that the request has."""
        return tuple(name for name in self.exclusive if fields.get(name) is not None)[1:]

    def nearest_effort(self, effort: str) -> str | None:
        """The effort nearest to `effort` that the model takes; of two, the higher one.

        Reasoning is turned off only if that was asked for. None if the model takes no effort but
        `none`.
        """
        if not self.efforts or effort in self.efforts or effort not in EFFORTS:
            return effort
        wanted = EFFORTS.index(effort)
        return min(
            (each for each in self.efforts if each != "none"),
            key=lambda each: (abs(EFFORTS.index(each) - wanted), -EFFORTS.index(each)),
            default=None,
        )


NO_RULE: Final = ModelRule()


@dataclass(frozen=True, slots=True)
class ModelOverride:
    """A member of MODEL_RULES: what a site, or a preset, says of models itself."""

    pattern: str
    """Which models: a pattern of their names, as in `fnmatch`, in lower case."""
    members: tuple[tuple[str, Any], ...] = ()
    """Members of the rule -> the values that replace the table's; hashable."""
    base_model: str = ""
    """The model that stands behind the name, such as the one that an Azure deployment runs."""

    def matches(self, *models: str) -> bool:
        """Whether one of these names, whole or without its path and prefix, fits the pattern."""
        return any(
            fnmatchcase(name, self.pattern)
            for model in models
            for name in (canonical(model), bare_name(model))
        )

    def apply(self, rule: ModelRule) -> ModelRule:
        """The rule with this override's members."""
        members = dict(self.members)
        if "roles" in members:
            members["roles"] = MappingProxyType(dict(members["roles"]))
        return replace(rule, changed=rule.changed | members.keys(), **members)


def find_base_model(overrides: tuple[ModelOverride, ...], model: str) -> str:
    """The model that the first override names for this one; "" without one."""
    return next(
        (each.base_model for each in overrides if each.base_model and each.matches(model)), ""
    )


# --- names ---------------------------------------------------------------------------------------

VENDOR_PREFIX: Final = re.compile(
    r"^(?:(?:[a-z]{2,6}(?:-gov)?\.)?[a-z0-9]+\.(?=[a-z]{2})|databricks-)"
)
"""What precedes the model's name in the ids of Amazon Bedrock and OCI (`us.anthropic.`, `xai.`) and
of Databricks."""
DECIMAL_P: Final = re.compile(r"(?<=\d)p(?=\d)")
"""Fireworks writes `kimi-k2p5` for Kimi K2.5."""
DECIMAL_DASH: Final = re.compile(r"((?:gpt|grok)-\d)-(?=\d(?!\d))")
"""Databricks writes `gpt-5-4`, and xAI `grok-4-1-fast`."""


@lru_cache(maxsize=1024)
def bare_name(model: str) -> str:
    """The model's name without its vendor's path, prefix and tag: `kimi-k2.5` for
    `accounts/fireworks/models/Kimi-K2p5`, `moonshotai.kimi-k2.5` and `kimi-k2.5:cloud`."""
    name = model.strip().lower().rstrip("/").rpartition("/")[2]
    name = VENDOR_PREFIX.sub("", name.partition(":")[0], count=1)
    return DECIMAL_DASH.sub(r"\1.", DECIMAL_P.sub(".", name))
