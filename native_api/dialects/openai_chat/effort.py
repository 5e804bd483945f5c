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
    """The effort that is sent (None: none is), whether it differs from what was asked for, and
    whether the model would answer 400 if it went on reasoning."""

    effort: str | None
    is_changed: bool = False
    must_stop: bool = False


def plan_effort(chat: Mapping[str, Any], target: Target) -> EffortPlan:
    """The effort for this request, as the model takes it."""
    rule, quirks = find_rule(target), target.provider.quirks
    asked = chat.get("reasoning_effort")
    if "reasoning_effort" in rule.refused or "reasoning_effort" in quirks.unsupported:
        asked = None  # it has been left out already
    if rule.can_stop_reasoning(asked) and _has_lost_reasoning(chat, rule, quirks):
        return EffortPlan("none", True, must_stop=True)
    if rule.thinks_only_in_streams and not chat.get("stream"):
        return EffortPlan("none", asked not in (None, "none"))
    if rule.tools_with_effort != "any" and _has_functions(chat):
        return _plan_beside_tools(rule, asked)
    if asked is None:
        return EffortPlan(None)
    nearest = rule.nearest_effort(asked)
    if nearest is None or (nearest == "none" and rule.reasoning == "always"):
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


def add_effort(plan: EffortPlan, target: Target, body: Json, omitted: list[str]) -> None:
    """Set `reasoning_effort`, or the vendor's own switch."""
    rule, switch = find_rule(target), target.provider.quirks.thinking
    if _is_forced(body) and (
        switch == "thinking" or (switch == "enable_thinking" and rule.reasons(plan.effort))
    ):
        # DeepSeek, Moonshot and DashScope answer 400 to a forced call in thinking mode:
        # https://github.com/cloudwego/eino/issues/994 (2026-04).
        plan = EffortPlan("none", plan.is_changed or plan.effort not in (None, "none"))
    if "thinking" in rule.changed or (plan.must_stop and not target.provider.vendor):
        switch = rule.thinking
    if plan.effort == "none" and _is_off(switch, body):
        return  # the client has said so in the vendor's own words
    if plan.is_changed:
        omitted.append("reasoning_effort")
    if plan.effort == "none":
        if body.get(switch) and not plan.is_changed:
            omitted.append(switch)
        _turn_off(switch, body)
    elif plan.effort and switch == "enable_thinking":
        body["enable_thinking"] = True
        omitted.append("reasoning_effort")
    elif plan.effort:
        body["reasoning_effort"] = plan.effort


def _is_forced(body: Json) -> bool:
    return isinstance(body.get("tool_choice"), dict) or body.get("tool_choice") == "required"


def _is_off(switch: str, body: Json) -> bool:
    value = body.get(switch)
    if isinstance(value, dict):
        return any(value.get(name) == off for name, off in SWITCHES.get(switch, {}).items())
    return value is False


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
