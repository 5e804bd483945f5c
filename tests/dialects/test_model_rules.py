"""The table of what models refuse or need, with a real model's name for each cell, and what each
dialect makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.dialects.openai_chat.models import takes_breakpoints
from native_api.dialects.shared.model_rules import ROWS, find_row, find_rule
from native_api.exceptions import UnsupportedField
from native_api.types.model_rules import NO_RULE, ModelRule, bare_name
from tests.cases import each, for_each
from tests.dialects.model_requests import HELLO, ask, make_target


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


def test_a_rule_is_found_for_a_target() -> None:
    assert find_rule(make_target("openai", "gpt-5")).max_tokens_field == "max_completion_tokens"
