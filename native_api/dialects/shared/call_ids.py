"""Ids of tool calls as one wire takes them, in calls and results alike. Rules:

1. An id that obeys the wire's rule stays as it is, so that cached prompts stay valid.
2. Another one is replaced by an id that is derived from it: the same in every request, also when
   the conversation has grown.
3. No two calls of a conversation have the same id. Some servers count calls in each turn again
   (`functions.f:0`), and some give all parallel calls one id. A call whose id was used before gets
   a new one, and the results follow in the order of the calls.
4. The legacy `function_call` becomes a tool call, so that it has an id of its own.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple


class CallIdRule(NamedTuple):
    """Which ids a wire takes: those that match `pattern` as a whole. Derived ids are `prefix` and
    `length` hexadecimal digits, at most 64."""

    pattern: re.Pattern[str]
    prefix: str = "call_"
    length: int = 24


ANY_ID: Final = CallIdRule(re.compile(r".+", re.DOTALL))
"""Wires without a known limit."""
OPENAI_IDS: Final = CallIdRule(re.compile(r".{1,64}", re.DOTALL))
"""Chat Completions and Responses: "string too long. Expected a string with maximum length 64"
(archestra-ai/archestra#401, 2026-02; the Chat Completions accept 51 characters since 2026-07,
vercel/ai#17233)."""
SHORT_IDS: Final = CallIdRule(re.compile(r".{1,40}", re.DOTALL))
"""Chat Completions of older deployments: "Expected a string with maximum length 40"
(agno-agi/agno#5382, 2025-11)."""
CLAUDE_IDS: Final = CallIdRule(re.compile(r"[a-zA-Z0-9_-]{1,64}"))
"""Anthropic: "String should match pattern '^[a-zA-Z0-9_-]+$'" (langchain-ai/langchain#37756). Only
Bedrock limits the length
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html, read
2026-11), but no host of Claude makes longer ids."""


@cache
def exact_ids(length: int) -> CallIdRule:
    """Ids of exactly so many letters and digits, as Mistral's."""
    return CallIdRule(re.compile(rf"[a-zA-Z0-9]{{{length}}}"), "", length)


def derive_id(rule: CallIdRule, given: str, count: int = 0) -> str:
    """The id of the call that is number `count`, from 0, with an id that the wire does not take."""
    seed = f"{given}\0{count}" if count else given
    digest = sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
    return rule.prefix + digest[: rule.length]


def fit_id(rule: CallIdRule, given: str) -> str:
    """The id itself if the wire takes it, otherwise the one that is derived from it."""
    return given if rule.pattern.fullmatch(given) else derive_id(rule, given)


class CallIds:
    """Edits the messages of one conversation, in their order."""

    __slots__ = ("_counts", "_results", "_rule", "_takes", "_used")

    def __init__(self, rule: CallIdRule) -> None:
        self._rule = rule
        self._takes = rule.pattern.fullmatch
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        """A client's id -> how many calls had it."""
        self._results: dict[str, list[str]] = {}
        """A client's id -> the ids of the calls that have it in the last message with such calls,
        whose results are still to come."""

    def edit_calls(self, message: Any) -> Any:
        """A model's message with the ids that the wire takes; itself if it has them already."""
        calls = message.get("tool_calls") or ()
        legacy = message.get("function_call")
        if not calls and not legacy:
            return message
        if legacy:
            calls = [
                *calls,
                {"id": legacy.get("name"), "type": "function", "function": legacy},
            ]
        ids: list[str] = []
        results: dict[str, list[str]] = {}
        is_edited = bool(legacy)
        for call in calls:
            given = call.get("id") or ""
            new_id = self._assign(given)
            ids += [new_id]
            results.setdefault(given, []).append(new_id)
            is_edited = is_edited or new_id != given
        self._results |= results
        if not is_edited:
            return message
        edited = {name: value for name, value in message.items() if name != "function_call"}
        edited["tool_calls"] = [
            {**call, "id": new_id} for call, new_id in zip(calls, ids, strict=True)
        ]
        return edited

    def edit_result(self, message: Any) -> Any:
        """A tool's message with the id of its call; itself if it has that already."""
        given = message.get("tool_call_id") or message.get("name") or ""
        ids = self._results.get(given)
        if ids is None:
            call_id = fit_id(self._rule, given)
        else:
            call_id = ids.pop(0) if len(ids) > 1 else ids[0]
        if call_id == message.get("tool_call_id"):
            return message
        return {**message, "tool_call_id": call_id}

    def _assign(self, given: str) -> str:
        call_id, count = given, 0
        if given in self._used or given in self._counts or not self._takes(given):
            count = self._counts.get(given, 0)
            call_id = derive_id(self._rule, given, count)
            while call_id in self._used:
                count += 1
                call_id = derive_id(self._rule, given, count)
        self._counts[given] = count + 1
        self._used.add(call_id)
        return call_id
