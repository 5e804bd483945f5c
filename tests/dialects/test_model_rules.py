"""The table of what models refuse or need, with a real model's name for each cell, and what each
dialect makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from native_api.catalog.model_rules import read_rules
from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.dialects.openai_chat.models import takes_breakpoints
from native_api.dialects.shared.model_rules import ROWS, find_row, find_rule
from native_api.exceptions import UnsupportedField
from native_api.types import Json, Provider, Target, UpstreamRequest
from native_api.types.model_rules import NO_RULE, ModelRule, bare_name
from tests.cases import each, for_each

HELLO: list[Json] = [{"role": "user", "content": "a"}]
TOOL: Json = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
}
CALL: Json = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OPTIONS = {"region": "us-east-1", "endpoint": "x", "project": "p", "location": "us"}


def make_target(preset: str, model: str, dialect: str = "") -> Target:
    """A target at a known vendor; "" for a provider without a preset."""
    if not preset:
        return Target(Provider("local", dialect or "openai", "http://127.0.0.1:8080/v1"), model)
    row = PRESETS[preset]
    provider = Provider(
        preset,
        dialect or row.dialect,
        "https://api.example/v1",
        quirks=row.quirks,
        options=OPTIONS if row.options else {},
        vendor=preset,
        model_overrides=read_rules(row.model_rules),
    )
    return Target(provider, model)


def ask(preset: str, model: str, **fields: Any) -> UpstreamRequest:
    target = make_target(preset, model, fields.pop("dialect", ""))
    chat: Any = {"model": "x", "messages": HELLO, **fields}
    return DIALECTS[target.provider.dialect].request(chat, target)


def tool_step(**reasoning: Any) -> list[Json]:
    """A conversation that goes on after a call."""
    return [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL], **reasoning},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]


def rule_of(model: str, vendor: str = "openai") -> ModelRule:
    row = find_row(model, vendor)
    return NO_RULE if row is None else row.rule


# --- the table -----------------------------------------------------------------------------------


def test_each_row_says_where_and_when_it_was_read() -> None:
    for row in ROWS:
        assert row.source.startswith("https://"), row.pattern
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.date), row.pattern


def test_the_hosts_of_rows_are_presets_or_dialects() -> None:
    for row in ROWS:
        assert row.hosts <= {"", *PRESETS, *DIALECTS}, row.pattern


@each(
    "model, name",
    [
        ("gpt-5", "gpt-5"),
        ("openai/gpt-5:free", "gpt-5"),
        ("databricks-gpt-5-4-mini", "gpt-5.4-mini"),
        ("gpt-5-2025-08-07", "gpt-5-2025-08-07"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("us.anthropic.claude-sonnet-4-6-v1:0", "claude-sonnet-4-6-v1"),
        ("anthropic/claude-opus-4.7", "claude-opus-4.7"),
        ("moonshotai.kimi-k2.5", "kimi-k2.5"),
        ("accounts/fireworks/models/kimi-k2p5", "kimi-k2.5"),
        ("deepseek-ai/DeepSeek-V4-Pro", "deepseek-v4-pro"),
        ("us.deepseek.r1-v1:0", "deepseek.r1-v1"),
        ("deepseek.v3.2", "deepseek.v3.2"),
        ("xai.grok-4-1-fast", "grok-4.1-fast"),
        ("qwen3:32b", "qwen3"),
        ("projects/p/locations/l/publishers/google/models/gemma-3-27b-it", "gemma-3-27b-it"),
    ],
)
def test_the_bare_name_of_a_model(model: str, name: str) -> None:
    assert bare_name(model) == name


@each(
    "model, by_default, when_off, when_on",
    [
        ("gpt-4o", False, False, False),
        ("gpt-4o-mini-search-preview", True, True, True),
        ("gpt-5-chat-latest", False, False, False),
        ("gpt-5", True, True, True),
        ("gpt-5-mini-2025-08-07", True, True, True),
        ("gpt-5-search-api", True, True, True),
        ("gpt-5.1", False, False, True),
        ("gpt-5.1-codex-max", True, True, True),
        ("gpt-5.2-chat-latest", True, True, True),
        ("gpt-5.2-pro", True, True, True),
        ("gpt-5.3-codex", False, False, True),
        ("gpt-5.4-mini", False, False, True),
        ("databricks-gpt-5-4", False, False, True),
        ("gpt-5.5", True, False, True),
        ("gpt-5.6-sol", True, False, True),
        ("gpt-6-astra", True, True, True),
        ("gpt-6-luna", True, False, True),
        ("o1", True, True, True),
        ("o3-mini", True, True, True),
        ("o4-mini", True, True, True),
        ("openai/gpt-5:free", True, True, True),
        ("gpt-oss-120b", False, False, False),
        ("my-deployment", False, False, False),
        ("claude-opus-4-7", True, True, True),
        ("claude-fable-5", True, True, True),
        ("claude-5-sonnet", True, True, True),
        ("claude-opus-latest", True, True, True),
        ("claude-opus-4-5-20251101", False, False, False),
        ("claude-sonnet-4-20250514", False, False, False),
        ("claude-3-7-sonnet", False, False, False),
        ("claude-instant-v1", False, False, False),
    ],
)
def test_the_temperature_is_refused_while_a_model_reasons(
    model: str, by_default: bool, when_off: bool, when_on: bool
) -> None:
    rule = rule_of(model)
    assert ["temperature" in rule.refused_fields(effort) for effort in (None, "none", "high")] == [
        by_default,
        when_off,
        when_on,
    ]


@each(
    "model, refused",
    [
        ("o3-mini", False),
        ("o1", False),
        ("o3", True),
        ("gpt-5", True),
        ("gpt-5.1", False),
        ("grok-4.3", True),
        ("grok-3-mini", True),
        ("x-ai/grok-4", True),
        ("llama-3.3", False),
    ],
)
def test_stop_is_refused_by_later_models(model: str, refused: bool) -> None:
    assert ("stop" in rule_of(model).refused_fields(None)) == refused


@each(
    "model, refused",
    [
        ("gpt-4.1", True),
        ("gpt-3.5-turbo", True),
        ("grok-3", True),
        ("grok-3-mini", False),
        ("grok-4", True),
        ("grok-4-0709", True),
        ("grok-4-fast-reasoning", True),
        ("grok-4-fast-non-reasoning", True),
        ("grok-4-1-fast-reasoning", True),
        ("xai/grok-4.1-fast-reasoning", True),
        ("grok-code-fast-1", True),
        ("grok-4.20", True),
        ("grok-4.20-0309-non-reasoning", True),
        ("grok-4.20-multi-agent", False),
        ("grok-4.3", False),
        ("o1", False),
        ("command-a-03-2025", True),
        ("command-a-reasoning-08-2025", False),
    ],
)
def test_the_effort_is_refused_by_models_without_one(model: str, refused: bool) -> None:
    assert ("reasoning_effort" in rule_of(model).refused_fields("low")) == refused


def test_reasoning_models_take_only_max_completion_tokens() -> None:
    models = ("o1", "gpt-5", "gpt-6-sol", "gpt-4o", "grok-4", "deepseek-reasoner")
    assert [rule_of(model).max_tokens_field for model in models] == [
        *["max_completion_tokens"] * 3,
        "",
        "",
        "",
    ]


@each(
    "model, asked, taken",
    [
        ("gpt-5", "none", "minimal"),
        ("gpt-5", "xhigh", "high"),
        ("gpt-5.1", "minimal", "low"),
        ("gpt-5.2", "max", "xhigh"),
        ("gpt-5.2", "none", "none"),
        ("o3", "minimal", "low"),
        ("gpt-oss-120b", "max", "high"),
        ("grok-4.3", "xhigh", "high"),
        ("kimi-k3", "medium", "high"),
        ("my-deployment", "max", "max"),
    ],
)
def test_an_effort_that_the_model_lacks_becomes_the_nearest(
    model: str, asked: str, taken: str
) -> None:
    assert rule_of(model, "moonshot").nearest_effort(asked) == taken


@pytest.mark.parametrize(
    ("model", "takes"),
    [("gpt-5.6", True), ("openai/gpt-6-sol", True), ("gpt-5.5", False), ("gpt-4o", False)],
)
def test_models_with_cache_breakpoints(model: str, takes: bool) -> None:
    assert takes_breakpoints(model) == takes


# --- fields that are left out --------------------------------------------------------------------


def sampling_cases() -> Iterator[tuple[str, Any]]:
    for model, hosts in {
        "kimi-k2.6": ("moonshot", ""),
        "kimi-k2.5": ("moonshot", ""),
        "claude-opus-4-7": ("anthropic", "databricks", "azure", "vercel", "openrouter", ""),
        "claude-opus-4.8": ("openrouter", "vercel"),
        "claude-fable-5": ("anthropic", "databricks", "vertex-anthropic"),
        "us.anthropic.claude-opus-4-8": ("bedrock",),
        "openai.gpt-5.4": ("bedrock",),
        "gpt-5.6": ("openai", "azure", "github"),
    }.items():
        for host in hosts:
            yield f"{host}/{model}", (host, model)


@for_each(sampling_cases)
def test_sampling_that_a_model_refuses_is_reported(case: tuple[str, str]) -> None:
    request = ask(*case, temperature=0.7, top_p=0.9)
    config = {**request.body, **request.body.get("inferenceConfig", {})}
    assert not {"temperature", "top_p", "topP"} & config.keys()
    assert request.omitted == ("temperature", "top_p")


@each("host", ["together", "fireworks", "novita", "vllm"])
def test_open_weights_take_any_temperature_elsewhere(host: str) -> None:
    assert ask(host, "moonshotai/Kimi-K2.5", temperature=0.7).body["temperature"] == 0.7


@each(
    "host, model",
    [
        ("anthropic", "claude-sonnet-4-5"),
        ("bedrock", "anthropic.claude-sonnet-4-5-v1:0"),
        ("databricks", "databricks-claude-sonnet-4-5"),
        ("", "claude-opus-4.1"),
    ],
)
def test_one_of_two_sampling_parameters(host: str, model: str) -> None:
    request = ask(host, model, temperature=0.7, top_p=0.9)
    config = {**request.body, **request.body.get("inferenceConfig", {})}
    assert config["temperature"] == 0.7
    assert not {"top_p", "topP"} & config.keys()
    assert request.omitted == ("top_p",)


def grok_cases() -> Iterator[tuple[str, Any]]:
    models = ("grok-3", "grok-4", "grok-4-0709", "grok-4-fast-reasoning", "grok-4-1-fast-reasoning")
    for host, prefix in {"xai": "", "azure": "", "": "xai.", "openrouter": "x-ai/"}.items():
        for dialect in ("openai", "openai_responses"):
            for model in models:
                yield f"{host}/{prefix}{model} {dialect}", (host, prefix + model, dialect)


@for_each(grok_cases)
def test_the_effort_of_a_grok_without_one_is_reported(case: tuple[str, str, str]) -> None:
    host, model, dialect = case
    request = ask(host, model, dialect=dialect, reasoning_effort="high")
    assert not {"reasoning_effort", "reasoning"} & request.body.keys()
    assert request.omitted == ("reasoning_effort",)


@each("model", ["gemini-2.5-pro", "gemini-3-flash-preview", "gemini-flash-latest"])
def test_only_gemini_2_0_takes_penalties(model: str) -> None:
    request = ask("gemini", model, presence_penalty=0.5, frequency_penalty=0)
    assert "generationConfig" not in request.body
    assert request.omitted == ("presence_penalty",)
    body = ask("gemini", "gemini-2.0-flash", presence_penalty=0.5).body
    assert body["generationConfig"] == {"presencePenalty": 0.5}


@each(
    "host, model, asked, sent",
    [
        ("groq", "qwen/qwen3-32b", "high", None),
        ("groq", "qwen/qwen3-32b", "none", "none"),
        ("groq", "openai/gpt-oss-120b", "max", "high"),
        ("mistral", "mistral-small-2603", "low", "high"),
        ("mistral", "mistral-large-latest", "high", None),
        ("openai", "gpt-5.1", "minimal", "low"),
        ("openai", "gpt-5.1-codex-max", "none", None),
        ("moonshot", "kimi-k3", "medium", "high"),
    ],
)
def test_an_effort_that_a_model_does_not_take_is_reported(
    host: str, model: str, asked: str, sent: str | None
) -> None:
    request = ask(host, model, reasoning_effort=asked)
    assert request.body.get("reasoning_effort") == sent
    assert request.omitted == (() if sent == asked else ("reasoning_effort",))


def test_stop_is_unsuitable_for_a_model_that_refuses_it() -> None:
    with pytest.raises(UnsupportedField, match="stop"):
        ask("bedrock", "openai.gpt-5.4", stop=["x"])


@each("host, model", [("gemini", "gemma-3-27b-it"), ("together", "google/gemma-2-27b-it")])
def test_gemma_takes_instructions_from_the_user(host: str, model: str) -> None:
    messages = [{"role": "system", "content": "Be brief."}, *HELLO]
    body = ask(host, model, messages=messages).body
    assert "systemInstruction" not in body
    if host == "gemini":
        assert body["contents"] == [
            {"role": "user", "parts": [{"text": "Be brief."}, {"text": "a"}]}
        ]
    else:
        assert body["messages"] == [{"role": "user", "content": "Be brief.\n\na"}]


def test_gemma_4_has_a_system_role() -> None:
    messages = [{"role": "system", "content": "Be brief."}, *HELLO]
    assert ask("gemini", "gemma-4-31b-it", messages=messages).body["systemInstruction"]


# --- function tools beside an effort -------------------------------------------------------------


@each("host", ["openai", "azure", "azure-deployments", "github", ""])
def test_gpt_5_4_takes_no_effort_beside_function_tools(host: str) -> None:
    for model in ("gpt-5.4", "gpt-5.5", "openai/gpt-5.4-mini"):
        request = ask(host, model, tools=[TOOL], reasoning_effort="low")
        assert "reasoning_effort" not in request.body
        assert request.omitted == ("reasoning_effort",)
    assert ask(host, "gpt-5.4", reasoning_effort="low").body["reasoning_effort"] == "low"


@each("host", ["openai", "azure", "github", ""])
def test_gpt_5_6_needs_an_effort_of_none_beside_function_tools(host: str) -> None:
    for effort in (None, "high"):
        for model in ("gpt-5.6-terra", "gpt-6-luna"):
            request = ask(host, model, tools=[TOOL], reasoning_effort=effort, temperature=0.5)
            assert request.body["reasoning_effort"] == "none"
            assert request.body["temperature"] == 0.5  # it does not reason
            assert request.omitted == ("reasoning_effort",)
    assert ask(host, "gpt-5.6", tools=[TOOL], reasoning_effort="none").omitted == ()


@each("host, dialect", [("openrouter", ""), ("vercel", ""), ("openai", "openai_responses")])
def test_where_the_responses_api_answers_both_are_taken(host: str, dialect: str) -> None:
    for model in ("gpt-5.4", "gpt-5.6-terra"):
        body = ask(host, model, dialect=dialect, tools=[TOOL], reasoning_effort="low").body
        assert (body.get("reasoning_effort") or body["reasoning"]["effort"]) == "low"


# --- reasoning that goes back --------------------------------------------------------------------

HOSTS: dict[str, str] = {
    "deepseek": "reasoning_content",
    "moonshot": "reasoning_content",
    "zai": "reasoning_content",
    "qwen": "reasoning_content",
    "fireworks": "reasoning_content",
    "novita": "reasoning_content",
    "siliconflow": "reasoning_content",
    "together": "reasoning_content",
    "nvidia": "reasoning_content",
    "huggingface": "reasoning_content",
    "deepinfra": "reasoning_content",
    "baseten": "reasoning_content",
    "nebius": "reasoning_content",
    "azure": "reasoning_content",
    "vercel": "reasoning_content",
    "sglang": "reasoning_content",
    "llamacpp": "reasoning_content",
    "": "reasoning_content",
    "vllm": "reasoning",
    "groq": "reasoning",
    "cerebras": "reasoning",
    "openrouter": "reasoning",
}
"""Preset -> where it takes the reasoning of earlier turns."""

MODELS_WITH_REASONING = (
    "XiaomiMiMo/MiMo-V2.5-Pro",
    "deepseek-v4-pro",
    "deepseek-ai/DeepSeek-V3.2",
    "deepseek/deepseek-v4.1-flash",
    "accounts/fireworks/models/kimi-k2p5",
    "moonshotai/Kimi-K2-Thinking",
    "kimi-k2.6",
    "zai-org/GLM-4.6",
    "z-ai/glm5",
    "MiniMaxAI/MiniMax-M2.1",
    "Qwen/Qwen3-235B-A22B-Thinking-2507",
    "qwen3:32b",
)


def hosts_and_models() -> Iterator[tuple[str, Any]]:
    for host, field in HOSTS.items():
        for model in MODELS_WITH_REASONING:
            yield f"{host}/{model}", (host, model, field)


@for_each(hosts_and_models)
def test_reasoning_goes_back_whoever_hosts_the_model(case: tuple[str, str, str]) -> None:
    host, model, field = case
    request = ask(host, model, messages=tool_step(reasoning_content="think"), tools=[TOOL])
    assert request.body["messages"][1][field] == "think"
    assert request.omitted == ()


@each("model", ["gpt-4o", "Llama-3.3-70B", "deepseek-ai/DeepSeek-R1", "qwen3-coder-480b"])
def test_reasoning_does_not_go_to_models_that_do_not_take_it(model: str) -> None:
    body = ask("together", model, messages=tool_step(reasoning_content="think")).body
    assert not {"reasoning", "reasoning_content"} & body["messages"][1].keys()


@each("base_url", ["http://127.0.0.1:11434/v1", "http://ollama.lan:11434/v1"])
def test_ollamas_openai_api_calls_it_reasoning(base_url: str) -> None:
    target = Target(Provider("local", "openai", base_url), "deepseek-v4-pro:cloud")
    chat: Any = {"model": "x", "messages": tool_step(reasoning_content="think")}
    assert DIALECTS["openai"].request(chat, target).body["messages"][1]["reasoning"] == "think"


def test_ollamas_own_api_calls_it_thinking() -> None:
    body = ask("ollama", "qwen3:32b", messages=tool_step(reasoning_content="think")).body
    assert body["messages"][1]["thinking"] == "think"


SWITCHED_OFF: dict[str, Json] = {
    "deepseek": {"thinking": {"type": "disabled"}},
    "moonshot": {"thinking": {"type": "disabled"}},
    "qwen": {"enable_thinking": False},
    "together": {"reasoning": {"enabled": False}},
    "vllm": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    "sglang": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    "nvidia": {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    "fireworks": {"reasoning_effort": "none"},
    "azure": {"reasoning_effort": "none"},
    "openrouter": {"reasoning_effort": "none"},
    "": {"thinking": {"type": "disabled"}},
}
"""Preset -> how reasoning is turned off there."""


def lost_cases() -> Iterator[tuple[str, Any]]:
    for host, switch in SWITCHED_OFF.items():
        for model in ("deepseek-v4-pro", "kimi-k2.6"):
            for effort in (None, "high"):
                yield f"{host}/{model} {effort}", (host, model, effort, switch)


@for_each(lost_cases)
def test_a_step_whose_reasoning_is_lost_goes_on_without(case: Any) -> None:
    host, model, effort, switch = case
    messages = [*tool_step(), {"role": "assistant", "content": "b"}, *HELLO]
    request = ask(host, model, messages=messages, tools=[TOOL], reasoning_effort=effort)
    assert not {"reasoning", "reasoning_content"} & request.body["messages"][1].keys()
    assert {name: request.body.get(name) for name in switch} == switch
    assert request.omitted == ("reasoning_effort",)


def test_an_empty_text_counts_only_where_the_model_takes_it() -> None:
    messages = tool_step(reasoning_content="")
    kept = ask("deepseek", "deepseek-reasoner", messages=messages).body
    assert kept["messages"][1]["reasoning_content"] == ""
    assert "thinking" not in kept
    lost = ask("deepseek", "deepseek-v4-pro", messages=messages).body
    assert "reasoning_content" not in lost["messages"][1]
    assert lost["thinking"] == {"type": "disabled"}


@each("host", ["moonshot", "novita", ""])
def test_a_model_that_cannot_stop_to_reason_gets_a_placeholder(host: str) -> None:
    request = ask(host, "kimi-k2-thinking", messages=tool_step(), tools=[TOOL])
    assert request.body["messages"][1]["reasoning_content"] == " "
    assert request.omitted == ()


@each("model", ["glm-4.6", "minimax-m2", "qwen3-max"])
def test_models_that_go_on_without_lost_reasoning_keep_thinking(model: str) -> None:
    request = ask("novita", model, messages=tool_step(), tools=[TOOL], reasoning_effort="high")
    assert request.body["reasoning_effort"] == "high"
    assert request.omitted == ()


@each("forced", [False, True])
def test_deepseek_on_the_messages_wire_goes_on_without_thinking(forced: bool) -> None:
    choice: Json = {"type": "function", "function": {"name": "f"}} if forced else {}
    fields = {"tool_choice": choice} if forced else {"messages": tool_step()}
    request = ask("", "deepseek-v4-pro", dialect="anthropic", tools=[TOOL], **fields)
    assert request.body["thinking"] == {"type": "disabled"}
    assert request.omitted == ("reasoning_effort",)


def test_a_preset_names_the_switch_of_some_models() -> None:
    request = ask("siliconflow", "deepseek-ai/DeepSeek-V4-Pro", messages=tool_step())
    assert request.body["enable_thinking"] is False
    assert "reasoning_effort" not in request.body


# --- complete replies without thinking -----------------------------------------------------------


@each("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_dashscope_forces_no_call_of_a_thinking_model(choice: Any) -> None:
    for fields in ({}, {"reasoning_effort": "high"}):
        body = ask("qwen", "qwen3.8-max", tools=[TOOL], tool_choice=choice, **fields).body
        assert body["enable_thinking"] is False
    assert "enable_thinking" not in ask("qwen", "qwen3.8-max", tools=[TOOL]).body
    plain = ask("qwen", "qwen-plus", tools=[TOOL], tool_choice=choice).body
    assert "enable_thinking" not in plain


@each("model", ["qwen3-32b", "qwen3-235b-a22b", "qwen3-0.6b"])
def test_open_qwen3_models_think_only_in_streams(model: str) -> None:
    assert ask("qwen", model).body["enable_thinking"] is False
    assert ask("qwen", model).omitted == ()
    request = ask("qwen", model, reasoning_effort="high")
    assert (request.body["enable_thinking"], request.omitted) == (False, ("reasoning_effort",))
    assert "enable_thinking" not in ask("qwen", model, stream=True).body
    assert ask("qwen", model, stream=True, reasoning_effort="low").body["enable_thinking"] is True


def test_a_switch_of_the_clients_own_is_obeyed_or_reported() -> None:
    off = ask("deepseek", "deepseek-v4-pro", messages=tool_step(), thinking={"type": "disabled"})
    assert (off.body["thinking"], off.omitted) == ({"type": "disabled"}, ())
    on = ask("deepseek", "deepseek-v4-pro", messages=tool_step(), thinking={"type": "enabled"})
    assert (on.body["thinking"], on.omitted) == ({"type": "disabled"}, ("reasoning_effort",))
    complete = ask("qwen", "qwen3-32b", enable_thinking=True)
    assert (complete.body["enable_thinking"], complete.omitted) == (False, ("enable_thinking",))


@each("host, model", [("qwen", "qwen3-max"), ("qwen", "qwen3-32b-instruct"), ("vllm", "qwen3-32b")])
def test_other_models_think_in_complete_replies(host: str, model: str) -> None:
    assert not {"enable_thinking", "chat_template_kwargs"} & ask(host, model).body.keys()


def test_a_rule_is_found_for_a_target() -> None:
    assert find_rule(make_target("openai", "gpt-5")).max_tokens_field == "max_completion_tokens"
