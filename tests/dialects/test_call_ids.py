"""Ids of tool calls are such as the wire takes, in calls and results alike."""

from __future__ import annotations

import json
import re
from typing import Any

from native_api.dialects import DIALECTS
from native_api.dialects.shared.memo import freeze
from native_api.types import Provider, Quirks, Target
from tests.cases import each

CLAUDE = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CONVERSE = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
ANYTHING = re.compile(r".+", re.DOTALL)

TARGETS = {
    "anthropic": ("claude-sonnet-4-6", CLAUDE),
    "anthropic_vertex": ("claude-sonnet-4-6", CLAUDE),
    "bedrock": ("anthropic.claude-sonnet-4-6", CLAUDE),
    "bedrock with Mistral": ("mistral.mistral-large", re.compile(r"[a-zA-Z0-9]{9}|tooluse_.+")),
    "bedrock with Kimi": ("moonshot.kimi-k3", CONVERSE),
    "openai": ("gpt-4.1", re.compile(r".{1,64}")),
    "openai as azure": ("gpt-4.1", re.compile(r".{1,40}")),
    "openai as mistral": ("mistral-large", re.compile(r"[a-zA-Z0-9]{9}")),
    "openai_responses": ("gpt-5.4", re.compile(r".{1,64}")),
    "gemini": ("gemini-3-pro-preview", ANYTHING),
    "cohere": ("command-a-03-2025", ANYTHING),
    "ollama": ("qwen3", ANYTHING),
}
"""The model, and the ids that its provider takes."""

TOOLS = [{"type": "function", "function": {"name": "f"}}]
QUESTION = {"role": "user", "content": "a"}
KIMI = "functions.Bash:0"
LONG = "call_" + "a" * 80
MADE_BY = {
    "OpenAI": "call_abcDEF0123456789abcDEF01",
    "Claude": "toolu_01A09q90qw90lq917835lq9",
    "Claude on Vertex AI": "toolu_vrtx_01A09q90qw90lq917835lq9",
    "Bedrock": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
}


def build_target(name: str) -> Target:
    wire, _, vendor = name.partition(" ")
    vendor = vendor.removeprefix("as ")
    quirks = Quirks(call_id_length=9 if vendor == "mistral" else 0)
    provider = Provider(
        "p",
        wire,
        "https://api.example/v1",
        vendor=vendor,
        quirks=quirks,
        options={"project": "a-project"},
    )
    return Target(provider, TARGETS[name][0])


def build_step(*ids: str, answered: bool = True) -> list[Any]:
    """A model's message with calls, and their results."""
    calls = [
        {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for call_id in ids
    ]
    results = [
        {"role": "tool", "tool_call_id": call_id, "content": f"r{index}"}
        for index, call_id in enumerate(ids if answered else ())
    ]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *results]


def send(name: str, *messages: Any) -> tuple[list[str], list[str]]:
    """The ids of the calls and of the results in the body, in their order."""
    target = build_target(name)
    chat: Any = freeze({"model": "m", "messages": [QUESTION, *messages], "tools": TOOLS})
    body = DIALECTS[target.provider.dialect].request(chat, target).body
    calls: list[str] = []
    results: list[str] = []
    collect(body.get("messages") or body.get("contents") or body.get("input"), calls, results)
    return calls, results


CALLS = {
    "tool_use": "id",
    "toolUse": "toolUseId",
    "function": "id",
    "function_call": "call_id",
    "custom_tool_call": "call_id",
    "functionCall": "id",
}
RESULTS = ("tool_use_id", "tool_call_id")
"""Members with the id of a call whose result it is."""


def collect(value: Any, calls: list[str], results: list[str]) -> None:
    for item in value if isinstance(value, list) else ():
        kind = item.get("type")
        if kind in CALLS:
            calls.append(item[CALLS[kind]])
        elif kind in ("function_call_output", "custom_tool_call_output"):
            results.append(item["call_id"])
        for name, member in (("toolUse", "toolUseId"), ("functionCall", "id")):
            if name in item:
                calls.append(item[name][member])
        for name, member in (("toolResult", "toolUseId"), ("functionResponse", "id")):
            if name in item:
                results.append(item[name][member])
        results += [item[name] for name in RESULTS if name in item]
        for name in ("content", "tool_calls", "parts"):
            collect(item.get(name), calls, results)


@each("call_id", [KIMI, LONG, "a b", "ü", "x|y", "\ud800", "call_1"])
@each("name", TARGETS)
def test_an_id_of_another_provider_becomes_one_that_the_wire_takes(name: str, call_id: str) -> None:
    if call_id == "\ud800" and name not in ("anthropic", "bedrock"):
        return  # not JSON: other wires take any letters, and orjson refuses these
    calls, results = send(name, *build_step(call_id))
    assert calls == results
    assert len(calls) == 1
    assert TARGETS[name][1].fullmatch(calls[0])


@each("call_id", MADE_BY.values())
@each("name", ["anthropic", "anthropic_vertex", "bedrock", "openai", "openai_responses", "gemini"])
def test_an_id_that_obeys_stays_as_it_is(name: str, call_id: str) -> None:
    """Another one would spoil the prompt cache."""
    assert send(name, *build_step(call_id)) == ([call_id], [call_id])


def test_kimi_keeps_its_own_ids() -> None:
    for name in ("openai", "bedrock with Kimi", "ollama"):
        assert send(name, *build_step(KIMI)) == ([KIMI], [KIMI])


@each("call_id", [KIMI, LONG, "call_1", "x"])
@each("name", TARGETS)
def test_ids_that_repeat_are_told_apart_and_results_follow_in_order(
    name: str, call_id: str
) -> None:
    steps = [build_step(call_id), build_step(call_id, call_id), build_step("y", call_id)]
    calls, results = send(name, *steps[0], *steps[1], *steps[2])
    assert len(set(calls)) == 5
    assert results == calls
    assert all(TARGETS[name][1].fullmatch(each_id) for each_id in calls)


@each("name", TARGETS)
def test_ids_stay_the_same_when_the_conversation_grows(name: str) -> None:
    steps = [build_step(KIMI), build_step(KIMI, LONG), build_step("x", KIMI)]
    sent = [
        send(name, *(message for step in steps[:count] for message in step))[0]
        for count in (1, 2, 3)
    ]
    assert sent[1][:1] == sent[0]
    assert sent[2][:3] == sent[1]


@each("name", TARGETS)
def test_a_result_that_is_missing_moves_no_other(name: str) -> None:
    unanswered, answered = build_step(KIMI, answered=False), build_step(KIMI)
    calls, results = send(name, *unanswered, QUESTION, *answered)
    assert results == calls[1:]


@each("name", TARGETS)
def test_results_in_another_order_go_to_their_calls(name: str) -> None:
    message, first, second = build_step(KIMI, LONG)
    calls, results = send(name, message, second, first)
    assert sorted(results) == sorted(calls)
    if name != "gemini":  # where results have the order of the calls
        assert results == calls[::-1]


@each("name", sorted({*TARGETS} - {"gemini"}))
def test_a_result_without_a_call_has_an_id_that_the_wire_takes(name: str) -> None:
    """Gemini needs the name of the call."""
    _, results = send(name, {"role": "tool", "tool_call_id": KIMI + "ü", "content": "ok"})
    assert len(results) == 1
    assert TARGETS[name][1].fullmatch(results[0])


@each("name", TARGETS)
def test_legacy_calls_of_one_function_are_told_apart(name: str) -> None:
    function_call = {"name": "f", "arguments": "{}"}
    step = [
        {"role": "assistant", "content": None, "function_call": function_call},
        {"role": "function", "name": "f", "content": "ok"},
    ]
    calls, results = send(name, *step, QUESTION, *step)
    assert calls == results
    assert len(set(calls)) == 2


@each("call_id", [KIMI, LONG])
@each("name", ["openai", "openai_responses"])
def test_a_call_of_a_custom_tool_has_such_ids_too(name: str, call_id: str) -> None:
    call = {"id": call_id, "type": "custom", "custom": {"name": "c", "input": "x"}}
    result = {"role": "tool", "tool_call_id": call_id, "content": "ok"}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    target = build_target(name)
    chat: Any = {"model": "m", "messages": [QUESTION, message, result]}
    body = json.dumps(DIALECTS[name].request(chat, target).body)
    assert (call_id in body) == (call_id == KIMI)
    if name == "openai_responses":
        assert '"type": "custom_tool_call_output"' in body
