"""The table of what models refuse, with a real model's name for each cell."""

from __future__ import annotations

import pytest

from native_api.dialects.openai_chat.models import (
    can_reason,
    find_family,
    refused_fields,
    takes_breakpoints,
)


@pytest.mark.parametrize(
    ("model", "by_default", "when_off", "when_on"),
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
    ],
)
def test_the_temperature_is_refused_while_a_model_reasons(
    model: str, by_default: bool, when_off: bool, when_on: bool
) -> None:
    assert [
        "temperature" in refused_fields(model, effort) for effort in (None, "none", "high")
    ] == [
        by_default,
        when_off,
        when_on,
    ]


@pytest.mark.parametrize(
    ("model", "refused"),
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
    assert ("stop" in refused_fields(model, None)) == refused


@pytest.mark.parametrize(
    ("model", "refused"),
    [
        ("gpt-4.1", True),
        ("gpt-3.5-turbo", True),
        ("grok-code-fast-1", True),
        ("grok-4.20", True),
        ("grok-4.20-multi-agent", False),
        ("o1", False),
    ],
)
def test_the_effort_is_refused_by_models_without_one(model: str, refused: bool) -> None:
    assert ("reasoning_effort" in refused_fields(model, "low")) == refused


def test_reasoning_models_take_only_max_completion_tokens() -> None:
    family = [
        find_family(model)
        for model in ("o1", "gpt-5", "gpt-6-sol", "gpt-4o", "grok-4", "deepseek-reasoner")
    ]
    assert [family and family.max_tokens_field for family in family] == [
        *["max_completion_tokens"] * 3,
        "",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-5.1", True),
        ("o3", True),
        ("gpt-4o", False),
        ("gpt-5-chat-latest", False),
        ("qwen3", False),
    ],
)
def test_known_reasoning_models(model: str, reasons: bool) -> None:
    assert can_reason(model) == reasons


@pytest.mark.parametrize(
    ("model", "takes"),
    [("gpt-5.6", True), ("openai/gpt-6-sol", True), ("gpt-5.5", False), ("gpt-4o", False)],
)
def test_models_with_cache_breakpoints(model: str, takes: bool) -> None:
    assert takes_breakpoints(model) == takes
