"""How much the model is asked to reason: by `reasoning_effort`, or by the vendor's switch that
turns reasoning off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from native_api.dialects.shared.model_rules import find_rule
from native_api.dialects.shared.provider_content import read_vendor_reasoning
from native_api.types import Json, Quirks, Target
from native_api.types.model_rules import ModelRule

SWITCHES: Final[Mapping[str, Json]] = {
    "thinking": {"type": "disabled"},
    "reasoning": {"enabled": False},
    "chat_template_kwargs": {"enable_thinking": False, "thinking": False},
}
"""`Quirks.thinking` -> the members that turn reasoning off."""

OLLAMA_PORT: Final = ":11434/"
LOST_REASONING: Final = " "
"""Stands for lost reasoning where a model cannot stop to reason and answers 400 to a call without
any: https://github.com/NousResearch/hermes-agent/pull/18263 (2026-05)."""


class EffortPlan(NamedTuple):
    """The effort that is sent (None: none is), and whether it differs from what was asked for."""

    effort: str | None
    is_changed: bool = False


def plan_effort(chat: Mapping[str, Any], target: Target) -> EffortPlan:
    """The effort for this request, as the model takes it."""
    rule, quirks = find_rule(target), target.provider.quirks
    asked = chat.get("reasoning_effort")
    if "reasoning_effort" in rule.refused or "reasoning_effort" in quirks.unsupported:
        asked = None  # it has been left out already
    if rule.can_stop_reasoning(asked) and _has_lost_reasoning(chat, rule, quirks):
        return EffortPlan("none", True)
    if rule.thinks_only_in_streams and not chat.get("stream"):
        return EffortPlan("none", asked not in (None, "none"))
    if rule.tools_with_effort != "any" and _has_functions(chat):
        return _plan_beside_tools(rule, asked)
    if asked is None:
        return EffortPlan(None)
    nearest = rule.nearest_effort(asked)
    if nearest == "none" and rule.reasoning == "always":
        return EffortPlan(None, True)
    return EffortPlan(nearest, nearest != asked)


def _plan_beside_tools(rule: ModelRule, asked: str | None) -> EffortPlan:
    """Function tools beside an effort are a 400 on Chat Completions since GPT-5.4; the Responses
    API takes both."""
    if rule.tools_with_effort == "none":
        return EffortPlan("none", asked != "none")
    if asked is None or (asked == "none" and rule.reasoning == "on"):
        return EffortPlan(asked)
    return EffortPlan(None, asked != "none")


def _has_functions(chat: Mapping[str, Any]) -> bool:
    return any(tool.get("type", "function") == "function" for tool in chat.get("tools") or ())


def _has_lost_reasoning(chat: Mapping[str, Any], rule: ModelRule, quirks: Quirks) -> bool:
    """Whether a call of the model comes back without the reasoning that led to it."""
    takes_details = "reasoning_details" in quirks.extensions
    return any(
        (message.get("tool_calls") or message.get("function_call"))
        and not message.get("reasoning_content")
        and not (rule.takes_empty_reasoning and message.get("reasoning_content") == "")
        and not (takes_details and read_vendor_reasoning(message))
        for message in chat["messages"]
        if message["role"] == "assistant"
    )


def add_effort(plan: EffortPlan, quirks: Quirks, body: Json, omitted: list[str]) -> None:
    """Set `reasoning_effort`, or the vendor's own switch."""
    is_forced = isinstance(body.get("tool_choice"), dict) or body.get("tool_choice") == "required"
    if quirks.thinking == "thinking" and is_forced:
        # DeepSeek and Moonshot answer 400, "Thinking mode does not support this tool_choice".
        plan = EffortPlan("none", plan.is_changed or plan.effort not in (None, "none"))
    if plan.is_changed:
        omitted.append("reasoning_effort")
    if plan.effort == "none":
        _turn_off(quirks.thinking, body)
    elif plan.effort and quirks.thinking == "enable_thinking":
        body["enable_thinking"] = True
        omitted.append("reasoning_effort")
    elif plan.effort:
        body["reasoning_effort"] = plan.effort


def _turn_off(switch: str, body: Json) -> None:
    if switch == "enable_thinking":
        body[switch] = False
    elif switch in SWITCHES:
        present = body.get(switch)
        body[switch] = {**(present if isinstance(present, dict) else {}), **SWITCHES[switch]}
    else:
        body["reasoning_effort"] = "none"


def find_reasoning_field(target: Target) -> str:
    """Where the reasoning text of earlier turns goes; "" for nowhere.

    The vendor's quirk names the field. Elsewhere the model decides; Ollama, like vLLM, calls it
    `reasoning` (https://github.com/ollama/ollama/blob/main/openai/openai.go, 2026-11).
    """
    rule, provider = find_rule(target), target.provider
    if "reasoning_field" in rule.changed:
        return rule.reasoning_field
    if provider.quirks.reasoning_field or not rule.reasoning_field:
        return provider.quirks.reasoning_field
    is_ollama = provider.vendor == "ollama" or OLLAMA_PORT in provider.base_url
    return "reasoning" if is_ollama else rule.reasoning_field


def find_placeholder(target: Target) -> str | None:
    """What stands for lost reasoning in a call of this model: None for nothing, and "" for an empty
    text that the client wrote."""
    rule = find_rule(target)
    if rule.needs_reasoning and rule.reasoning == "always":
        return LOST_REASONING
    return "" if rule.takes_empty_reasoning else None
