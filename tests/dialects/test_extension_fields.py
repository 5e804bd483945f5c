"""Sampling and reasoning in the words of other APIs: each wire says them in its own, the vendors of
OpenAI's wire get them as written if they take them, and what is lost is reported."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.dialects.shared.reasoning_request import EFFORT_BUDGETS, find_nearest_effort
from native_api.types import Provider, Target
from native_api.types.chat import EXTENSION_FIELDS, REASONING_EXTENSIONS, SAMPLING_EXTENSIONS
from tests.cases import each

HI = [{"role": "user", "content": "Hi"}]
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "anthropic_vertex": "claude-sonnet-4-5",
    "anthropic_bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-reasoning-08-2025",
    "gemini": "gemini-2.5-flash",
    "ollama": "qwen3",
    "openai": "served-model",
    "openai_responses": "gpt-5.1",
}
VALUES: dict[str, Any] = {
    "top_k": 20, "top_a": 0.5, "min_p": 0.1, "typical_p": 0.9, "repetition_penalty": 1.1,
    "repeat_penalty": 1.2, "length_penalty": 1.3, "mirostat": 2, "mirostat_tau": 4.0,
    "mirostat_eta": 0.2, "min_tokens": 5, "stop_token_ids": [1, 2], "ignore_eos": True,
    "reasoning": {"effort": "low"}, "thinking": {"type": "enabled"}, "think": True,
    "enable_thinking": True, "thinking_budget": 2048, "include_reasoning": True,
    "reasoning_format": "parsed", "reasoning_split": True,
    "chat_template_kwargs": {"enable_thinking": True},
}  # fmt: skip


def build(wire: str, model: str = "", **fields: Any) -> Any:
    options = {"region": "eu-west-1", "project": "p", "location": "global"}
    provider = Provider("p", wire, "https://api.example/v1", options=options)
    chat: Any = {"model": "m", "messages": HI, "max_tokens": 40_000, **fields}
    return DIALECTS[wire].request(chat, Target(provider, model or MODELS[wire]))


def build_at(preset: str, **fields: Any) -> Any:
    provider = Provider("p", "openai", "https://api.example/v1", quirks=PRESETS[preset].quirks)
    chat: Any = {"model": "m", "messages": HI, **fields}
    return DIALECTS["openai"].request(chat, Target(provider, "served-model"))


def added(wire: str, model: str = "", **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """The members that a request with these fields has beyond one without them, and what is
    reported."""
    plain, request = build(wire, model), build(wire, model, **fields)
    members = {name: value for name, value in request.body.items() if plain.body.get(name) != value}
    return members, sorted(request.omitted)


def test_every_field_has_a_value_here() -> None:
    assert VALUES.keys() == EXTENSION_FIELDS


# --- sampling ------------------------------------------------------------------------------------

TOP_K: dict[str, Any] = {
    "anthropic": {"top_k": 20},
    "anthropic_vertex": {"top_k": 20},
    "anthropic_bedrock": {"top_k": 20},
    "bedrock": {"additionalModelRequestFields": {"top_k": 20}},
    "cohere": {"k": 20},
    "gemini": {"generationConfig": {"maxOutputTokens": 40_000, "topK": 20}},
    "ollama": {"options": {"num_predict": 40_000, "top_k": 20}},
    "openai": {"top_k": 20},
    "openai_responses": None,
}


@pytest.mark.parametrize("wire", DIALECTS)
def test_top_k_is_said_where_the_wire_has_it(wire: str) -> None:
    expected = TOP_K[wire]
    assert added(wire, top_k=20) == (expected or {}, [] if expected else ["top_k"])


@pytest.mark.parametrize("wire", sorted(DIALECTS.keys() - {"openai"}))
@pytest.mark.parametrize("off", [0, -1])
def test_a_top_k_that_is_off_says_nothing(wire: str, off: int) -> None:
    assert added(wire, top_k=off) == ({}, [])


BEDROCK_TOP_K: dict[str, Any] = {
    "amazon.nova-lite-v1:0": {"inferenceConfig": {"topK": 20}},
    "cohere.command-r-v1:0": {"k": 20},
    "mistral.mistral-large-2402-v1:0": {"top_k": 20},
    "meta.llama3-1-8b-instruct-v1:0": None,
    "amazon.titan-text-express-v1": None,
}


@each("model", BEDROCK_TOP_K)
def test_top_k_is_a_field_of_some_models_on_bedrock(model: str) -> None:
    fields = BEDROCK_TOP_K[model]
    expected = ({"additionalModelRequestFields": fields}, []) if fields else ({}, ["top_k"])
    assert added("bedrock", model, top_k=20) == expected


@pytest.mark.parametrize(
    ("wire", "model"),
    [
        ("anthropic", "claude-opus-4-7"),
        ("anthropic_vertex", "claude-opus-4-7"),
        ("bedrock", "anthropic.claude-opus-4-7-v1:0"),
    ],
)
def test_a_claude_without_sampling_gets_no_top_k(wire: str, model: str) -> None:
    assert added(wire, model, top_k=20) == ({}, ["top_k"])


@pytest.mark.parametrize("wire", ["anthropic", "anthropic_vertex", "bedrock"])
def test_a_claude_that_thinks_gets_no_top_k(wire: str) -> None:
    """https://platform.claude.com/docs/en/build-with-claude/extended-thinking: "Thinking isn't
    compatible with temperature or top_k modifications" (read 2026-11)."""
    members, omitted = added(wire, top_k=20, reasoning_effort="low")
    assert "top_k" not in str(members)
    assert omitted == ["top_k"]


OLLAMA_OPTIONS = {
    "top_k", "min_p", "typical_p", "mirostat", "mirostat_tau", "mirostat_eta",
}  # fmt: skip


@each("field", sorted(SAMPLING_EXTENSIONS))
def test_ollama_takes_sampling_as_options(field: str) -> None:
    members, omitted = added("ollama", **{field: VALUES[field]})
    if field in OLLAMA_OPTIONS:
        assert members == {"options": {"num_predict": 40_000, field: VALUES[field]}}
    elif field in ("repetition_penalty", "repeat_penalty"):
        assert members == {"options": {"num_predict": 40_000, "repeat_penalty": VALUES[field]}}
    else:
        assert (members, omitted) == ({}, [field])


@pytest.mark.parametrize("wire", sorted(DIALECTS.keys() - {"openai", "ollama"}))
@each("field", sorted(SAMPLING_EXTENSIONS - {"top_k"}))
def test_other_sampling_is_left_out_and_reported(field: str, wire: str) -> None:
    reported = "repetition_penalty" if field == "repeat_penalty" else field
    assert added(wire, **{field: VALUES[field]}) == ({}, [reported])


# --- vendors of OpenAI's wire --------------------------------------------------------------------


@each("field", sorted(EXTENSION_FIELDS))
def test_an_unknown_server_gets_the_field_as_written(field: str) -> None:
    assert added("openai", **{field: VALUES[field]}) == ({field: VALUES[field]}, [])


@pytest.mark.parametrize("preset", ["openai", "azure", "azure-deployments", "mistral"])
@each("field", sorted(SAMPLING_EXTENSIONS))
def test_a_vendor_that_refuses_unknown_fields_gets_none(field: str, preset: str) -> None:
    plain, request = build_at(preset), build_at(preset, **{field: VALUES[field]})
    assert request.body == plain.body
    assert request.omitted == (field,)


TAKEN = {
    "openrouter": {"reasoning", "include_reasoning"},
    "deepseek": {"thinking"},
    "moonshot": {"thinking"},
    "zai": {"thinking"},
    "qwen": {"enable_thinking", "thinking_budget"},
    "groq": {"reasoning_format", "include_reasoning"},
    "cerebras": {"reasoning_format"},
    "openai": set(),
    "azure": set(),
    "mistral": set(),
    "xai": set(),
}


@pytest.mark.parametrize("preset", TAKEN)
@each("field", sorted(REASONING_EXTENSIONS))
def test_a_vendor_gets_its_own_words_for_reasoning(field: str, preset: str) -> None:
    request = build_at(preset, **{field: VALUES[field]})
    assert (field in request.body) == (field in TAKEN[preset] or is_switch(field, preset))
    if field in TAKEN[preset]:
        assert request.body[field] == VALUES[field]


def is_switch(field: str, preset: str) -> bool:
    """Whether the field is the vendor's own switch, which the effort becomes."""
    return PRESETS[preset].quirks.thinking == field


@pytest.mark.parametrize("preset", ["openai", "azure", "mistral", "xai"])
@each("field, value, effort", [
    ("reasoning", {"effort": "high"}, "high"),
    ("reasoning", {"enabled": False}, "none"),
    ("thinking", {"type": "enabled", "budget_tokens": 2000}, "low"),
    ("enable_thinking", False, "none"),
    ("think", "low", "low"),
    ("chat_template_kwargs", {"thinking": False}, "none"),
])  # fmt: skip
def test_other_vendors_get_the_effort(field: str, value: Any, effort: str, preset: str) -> None:
    assert build_at(preset, **{field: value}).body["reasoning_effort"] == effort


def test_what_a_vendor_takes_says_it_all() -> None:
    request = build_at("openrouter", reasoning={"effort": "low"}, enable_thinking=True)
    assert request.body["reasoning"] == {"effort": "low"}
    assert "reasoning_effort" not in request.body
    assert request.omitted == ("enable_thinking",)


# --- reasoning on other wires --------------------------------------------------------------------

SAME_AS_EFFORT: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"reasoning": {"effort": "high"}}, "high", []),
    ({"reasoning": {"effort": "high", "exclude": False}}, "high", []),
    ({"reasoning": {"enabled": True}}, "medium", []),
    ({"reasoning": {"enabled": False, "effort": "high"}}, "none", []),
    ({"reasoning": {"effort": "low", "exclude": True}}, "low", ["reasoning.exclude"]),
    ({"thinking": {"type": "disabled"}}, "none", []),
    ({"thinking": {"type": "enabled"}}, "medium", []),
    ({"thinking": {"type": "adaptive"}}, "high", []),
    ({"enable_thinking": True}, "medium", []),
    ({"enable_thinking": False}, "none", []),
    ({"enable_thinking": False, "thinking_budget": 2048}, "none", []),
    ({"thinking_budget": 0}, "none", []),
    ({"think": "high"}, "high", []),
    ({"think": True}, "medium", []),
    ({"think": False}, "none", []),
    ({"chat_template_kwargs": {"enable_thinking": False}}, "none", []),
    ({"chat_template_kwargs": {"thinking": True}}, "medium", []),
    (
        {"chat_template_kwargs": {"thinking": True, "clear": 1}},
        "medium",
        ["chat_template_kwargs.clear"],
    ),
    ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, "low", []),
    ({"include_reasoning": True, "reasoning_effort": "low"}, "low", []),
    ({"include_reasoning": False, "reasoning_effort": "low"}, "low", ["include_reasoning"]),
    ({"reasoning_format": "raw", "reasoning_effort": "low"}, "low", ["reasoning_format"]),
    ({"reasoning_format": "parsed", "reasoning_effort": "low"}, "low", []),
    ({"reasoning_split": True, "reasoning_effort": "low"}, "low", []),
]


@pytest.mark.parametrize("wire", sorted(DIALECTS.keys() - {"openai"}))
@each("fields, effort, reported", SAME_AS_EFFORT)
def test_reasoning_in_other_words_is_the_effort(
    fields: dict[str, Any], effort: str, reported: list[str], wire: str
) -> None:
    plain, request = build(wire, reasoning_effort=effort), build(wire, **fields)
    assert request.body == plain.body
    assert sorted(request.omitted) == sorted([*plain.omitted, *reported])


BUDGETS: dict[str, dict[str, Any]] = {
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 3000}},
    "anthropic_vertex": {"thinking": {"type": "enabled", "budget_tokens": 3000}},
    "anthropic_bedrock": {"thinking": {"type": "enabled", "budget_tokens": 3000}},
    "bedrock": {
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 3000}}
    },
    "cohere": {"thinking": {"type": "enabled", "token_budget": 3000}},
    "gemini": {
        "generationConfig": {
            "maxOutputTokens": 40_000,
            "thinkingConfig": {"thinkingBudget": 3000, "includeThoughts": True},
        }
    },
}


@pytest.mark.parametrize("wire", BUDGETS)
@each("fields", [
    {"reasoning": {"max_tokens": 3000}},
    {"thinking": {"type": "enabled", "budget_tokens": 3000}},
    {"thinking_budget": 3000},
    {"enable_thinking": True, "thinking_budget": 3000},
    {"reasoning": {"effort": "high", "max_tokens": 3000}},
])  # fmt: skip
def test_a_budget_is_said_in_tokens_where_the_wire_counts_them(
    fields: dict[str, Any], wire: str
) -> None:
    assert added(wire, **fields) == (BUDGETS[wire], [])


@pytest.mark.parametrize(
    ("wire", "model"),
    [
        ("openai_responses", ""),
        ("ollama", ""),
        ("anthropic", "claude-opus-4-7"),
        ("gemini", "gemini-3-flash-preview"),
        ("bedrock", "deepseek.v3-v1:0"),
    ],
)
def test_a_budget_is_the_nearest_effort_elsewhere_and_reported(wire: str, model: str) -> None:
    request = build(wire, model, thinking_budget=2000)
    assert request.body == build(wire, model, reasoning_effort="low").body
    assert {*request.omitted} & {"thinking_budget", "reasoning_effort"}


@pytest.mark.parametrize("wire", sorted(DIALECTS.keys() - {"openai"}))
def test_a_summary_is_asked_for_where_the_wire_has_one(wire: str) -> None:
    members, omitted = added(wire, reasoning={"effort": "low", "summary": "concise"})
    if wire == "openai_responses":
        assert (members["reasoning"], omitted) == ({"effort": "low", "summary": "concise"}, [])
    else:
        assert "reasoning.summary" in omitted


@pytest.mark.parametrize("wire", DIALECTS)
@each("field", sorted(EXTENSION_FIELDS))
def test_null_says_nothing(field: str, wire: str) -> None:
    if wire != "openai":  # There it goes on as null, as all known fields do.
        assert added(wire, **{field: None}) == ({}, [])


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(-1, "none"), (0, "none"), (1, "minimal"), (5000, "low"), (5121, "medium"), (10**9, "xhigh")],
)
def test_the_nearest_effort(budget: int, effort: str) -> None:
    assert find_nearest_effort(budget) == effort


def test_each_effort_is_nearest_to_its_own_budget() -> None:
    assert {find_nearest_effort(budget) for budget in EFFORT_BUDGETS.values()} == {*EFFORT_BUDGETS}


# --- OpenAI's own hints --------------------------------------------------------------------------

OPENAI_HINTS: dict[str, Any] = {
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "moderation": {"model": "omni-moderation-latest"},
}


@pytest.mark.parametrize("wire", DIALECTS)
@each("field", OPENAI_HINTS)
def test_openais_newer_hints_go_to_openais_wires(field: str, wire: str) -> None:
    value = OPENAI_HINTS[field]
    expected = ({field: value}, []) if wire.startswith("openai") else ({}, [field])
    assert added(wire, **{field: value}) == expected


@pytest.mark.parametrize(
    "preset", [name for name, row in PRESETS.items() if row.dialect == "openai" and name != "echo"]
)
@each("field", OPENAI_HINTS)
def test_only_openai_and_azure_take_them(field: str, preset: str) -> None:
    request = build_at(preset, **{field: OPENAI_HINTS[field]})
    if preset in ("openai", "azure", "azure-deployments"):
        assert request.body[field] == OPENAI_HINTS[field]
    else:
        assert (field in request.body, request.omitted) == (False, (field,))
