"""How clients of other APIs ask for reasoning, in `reasoning_effort` and two members of
`reasoning`. The fields and their sources are those of `types.chat.REASONING_EXTENSIONS`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from native_api.types import ChatRequest, Json
from native_api.types.chat import REASONING_EXTENSIONS

EFFORT_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 32_000,
}
"""Effort -> tokens of thinking that are about the same."""

DEFAULT_EFFORT: Final = "medium"
"""What "on" means without a level: OpenAI's and OpenRouter's default."""
ADAPTIVE_EFFORT: Final = "high"
"""What Anthropic's adaptive thinking does by default
(https://platform.claude.com/docs/en/build-with-claude/effort, read 2026-11)."""

TEMPLATE_SWITCHES: Final = ("enable_thinking", "thinking")
"""The names by which chat templates of models know the switch: Qwen's and GLM's, DeepSeek's and
Kimi's."""

SHOWN_FORMATS: Final = ("parsed", "auto", "deepseek")
"""Values of `reasoning_format` with which the reasoning comes beside the answer, as it always does
here."""


class Wish(NamedTuple):
    """What one field says of the reasoning; None is nothing."""

    effort: str | None = None
    budget: int | None = None
    """In tokens."""
    budget_name: str = ""
    """The field of the budget, for reports."""


NO_WISH: Final = Wish()


def find_nearest_effort(budget: int) -> str:
    """The effort that is about a budget of thinking, in tokens."""
    if budget <= 0:
        return "none"
    return min(EFFORT_BUDGETS, key=lambda effort: abs(EFFORT_BUDGETS[effort] - budget))


def unify_reasoning(
    chat: ChatRequest,
    members: frozenset[str],
    omitted: list[str],
    kept: frozenset[str] = frozenset(),
) -> ChatRequest:
    """The chat with `reasoning_effort` for other APIs' fields, and with a `reasoning` of those of
    its `members` that a wire can say. What gets lost is added to `omitted`.

    `kept` fields stay as they are. If there are any, they say it all, and no effort is added.
    """
    fields: Any = chat
    written = {
        name: value
        for name in fields.keys() & REASONING_EXTENSIONS
        if (value := fields[name]) is not None
    }
    foreign = {name: value for name, value in written.items() if name not in kept}
    if not foreign:
        return chat
    unified = {name: value for name, value in fields.items() if name not in foreign}
    if len(foreign) < len(written):
        omitted += sorted(foreign)
    else:
        _add_wish(unified, foreign, members, omitted)
    result: Any = unified
    return result  # type: ignore[no-any-return]


def _add_wish(
    unified: Json, foreign: Mapping[str, Any], members: frozenset[str], omitted: list[str]
) -> None:
    wish = _read_wish(foreign)
    effort, reasoning = wish.effort, {}
    if effort is None and wish.budget is not None:
        effort = find_nearest_effort(wish.budget)
    if unified.get("reasoning_effort") is None and effort is not None:
        unified["reasoning_effort"] = effort
    if wish.budget is not None and wish.budget > 0 and effort != "none":
        if "max_tokens" in members:
            reasoning["max_tokens"] = wish.budget
        else:
            omitted.append(wish.budget_name)
    summary = _read_object(foreign, "reasoning").get("summary")
    if summary is not None:
        if "summary" in members:
            reasoning["summary"] = summary
        else:
            omitted.append("reasoning.summary")
    if reasoning:
        unified["reasoning"] = reasoning
    omitted += _find_unsaid(foreign)


def _read_wish(foreign: Mapping[str, Any]) -> Wish:
    """All wishes in one: the first that says something of each kind."""
    effort: str | None = None
    budget: int | None = None
    budget_name = ""
    for wish in _read_wishes(foreign):
        effort = wish.effort if effort is None else effort
        if budget is None and wish.budget is not None:
            budget, budget_name = wish.budget, wish.budget_name
    # A switch beside a budget only says "on"; the budget says how much.
    is_level = effort not in (None, "none") and _has_level(foreign)
    return Wish(
        effort if budget is None or is_level or effort == "none" else None, budget, budget_name
    )


def _has_level(foreign: Mapping[str, Any]) -> bool:
    return isinstance(_read_object(foreign, "reasoning").get("effort"), str) or isinstance(
        foreign.get("think"), str
    )


def _read_wishes(foreign: Mapping[str, Any]) -> Iterator[Wish]:
    yield _read_openrouter(_read_object(foreign, "reasoning"))
    yield _read_anthropic(_read_object(foreign, "thinking"))
    think = foreign.get("think")
    yield Wish(think) if isinstance(think, str) else _read_switch(think)
    yield _read_switch(foreign.get("enable_thinking"))
    template = _read_object(foreign, "chat_template_kwargs")
    for name in TEMPLATE_SWITCHES:
        yield _read_switch(template.get(name))
    yield _read_budget(foreign.get("thinking_budget"), "thinking_budget")


def _read_openrouter(reasoning: Mapping[str, Any]) -> Wish:
    effort, is_enabled = reasoning.get("effort"), reasoning.get("enabled")
    wish = _read_budget(reasoning.get("max_tokens"), "reasoning.max_tokens")
    if is_enabled is False:
        return Wish("none")
    if isinstance(effort, str):
        return wish._replace(effort=effort)
    return wish._replace(effort=DEFAULT_EFFORT) if is_enabled and wish.budget is None else wish


def _read_anthropic(thinking: Mapping[str, Any]) -> Wish:
    kind = thinking.get("type")
    if kind == "disabled":
        return Wish("none")
    wish = _read_budget(thinking.get("budget_tokens"), "thinking.budget_tokens")
    if kind == "enabled" and wish.budget is None:
        return Wish(DEFAULT_EFFORT)
    return Wish(ADAPTIVE_EFFORT) if kind == "adaptive" else wish


def _read_switch(value: Any) -> Wish:
    return Wish(DEFAULT_EFFORT if value else "none") if isinstance(value, bool) else NO_WISH


def _read_budget(value: Any, name: str) -> Wish:
    is_budget = isinstance(value, int) and not isinstance(value, bool)
    return Wish(budget=value, budget_name=name) if is_budget else NO_WISH


def _find_unsaid(foreign: Mapping[str, Any]) -> Iterator[str]:
    """What says neither how much to think, nor what is done anyway."""
    if _read_object(foreign, "reasoning").get("exclude"):
        yield "reasoning.exclude"
    if foreign.get("include_reasoning") is False:
        yield "include_reasoning"
    if foreign.get("reasoning_format") not in (None, *SHOWN_FORMATS):
        yield "reasoning_format"
    if foreign.get("reasoning_split") is False:
        yield "reasoning_split"
    for name in _read_object(foreign, "chat_template_kwargs").keys() - {*TEMPLATE_SWITCHES}:
        yield f"chat_template_kwargs.{name}"


def _read_object(foreign: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = foreign.get(name)
    return value if isinstance(value, Mapping) else {}
