"""Calls with their usage, and their cost by the provider's public price page, computed by hand.

Amounts are in USD per million tokens. The published prices are those of the release.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from native_api.pricing import conversion, costs, lookup, published, tables
from native_api.types import Usage
from tests.usage.usage_factory import make_target, make_usage

COHERE_BILLED = {"billed_units": {"input_tokens": 12.0, "output_tokens": 34.0}}
TWO_SEARCHES = {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3}}
COMPACTED = {
    "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500},
        {"type": "message"},
    ]
}

CASES: list[tuple[str, str, Usage, str, str]] = [
    # --- OpenAI
    ("openai", "gpt-4o", make_usage(1000, 500), "0.0075", "1000*2.50 + 500*10"),
    ("openai", "gpt-4o", make_usage(2006, 300, cached=1920),
     "0.005615", "86*2.50 + 1920*1.25 + 300*10"),
    ("openai", "gpt-4o-2024-08-06", make_usage(1, 1), "0.0000125", "1*2.50 + 1*10"),
    ("openai", "gpt-4o-2024-05-13", make_usage(1000, 1000), "0.02", "1000*5 + 1000*15"),
    ("openai", "gpt-4o-mini", make_usage(1234, 567), "0.0005253", "1234*0.15 + 567*0.60"),
    ("openai", "gpt-4o-mini", make_usage(10_000, 1, cached=9_984),
     "0.0007518", "16*0.15 + 9984*0.075 + 1*0.60"),
    ("openai", "gpt-4.1", make_usage(100_000, 2_000, cached=50_000),
     "0.141", "50000*2 + 50000*0.50 + 2000*8"),
    ("openai", "gpt-4.1-mini", make_usage(3_333, 777), "0.0025764", "3333*0.40 + 777*1.60"),
    ("openai", "gpt-4.1-nano", make_usage(7, 3, cached=7), "0.000001375", "7*0.025 + 3*0.40"),
    ("openai", "o1", make_usage(500, 2_500, reasoning=2_000), "0.1575", "500*15 + 2500*60"),
    ("openai", "o3-mini", make_usage(75, 1_186, reasoning=1_024),
     "0.0053009", "75*1.10 + 1186*4.40"),
    ("openai", "o4-mini", make_usage(20_000, 5_000, cached=10_000, reasoning=4_096),
     "0.03575", "10000*1.10 + 10000*0.275 + 5000*4.40"),
    ("openai", "gpt-5", make_usage(8_192, 4_000, cached=4_096, reasoning=3_200),
     "0.045632", "4096*1.25 + 4096*0.125 + 4000*10"),
    ("openai", "gpt-5-mini", make_usage(999, 111), "0.00047175", "999*0.25 + 111*2"),
    ("openai", "gpt-5-nano", make_usage(1, 0), "0.00000005", "1*0.05"),
    ("openai", "gpt-5.4", make_usage(272_000, 1_000), "0.695", "272000*2.50 + 1000*15"),
    ("openai", "gpt-5.4", make_usage(272_001, 1_000, cached=72_001),
     "1.0585005", "200000*5 + 72001*0.50 + 1000*22.50"),
    ("openai", "gpt-4-turbo", make_usage(1_000, 1_000, cached=100), "0.04", "1000*10 + 1000*30"),
    ("openai", "gpt-3.5-turbo", make_usage(17, 19), "0.000037", "17*0.50 + 19*1.50"),
    ("openai", "gpt-audio", make_usage(1_200, 900, audio=1_000, audio_out=700),
     "0.0793", "200*2.50 + 1000*32 + 200*10 + 700*64"),
    ("openai", "gpt-image-1", make_usage(1_050, 4_160, image=1_000, image_out=4_160),
     "0.17665", "50*5 + 1000*10 + 4160*40"),
    ("openai", "gpt-image-1", make_usage(1_050, 10, image=1_000, cached=600, cached_image=600),
     "0.00615", "50*5 + 400*10 + 600*2.50 + 10*40"),
    ("azure", "gpt-4o-mini", make_usage(1_000_000, 0), "0.15", "1000000*0.15"),
    ("azure-deployments", "gpt-4o", make_usage(4_000, 100), "0.011", "4000*2.50 + 100*10"),
    # --- Anthropic
    ("anthropic", "claude-3-haiku-20240307", make_usage(2_000, 300),
     "0.000875", "2000*0.25 + 300*1.25"),
    ("anthropic", "claude-3-5-haiku-20241022", make_usage(5_000, 400, cached=4_000),
     "0.00272", "1000*0.80 + 4000*0.08 + 400*4"),
    ("anthropic", "claude-3-5-sonnet-20241022", make_usage(10_021, 503, written=10_000),
     "0.045108", "21*3 + 10000*3.75 + 503*15"),
    ("anthropic", "claude-3-7-sonnet-20250219", make_usage(11_000, 8_000, cached=10_000),
     "0.126", "1000*3 + 10000*0.30 + 8000*15"),
    ("anthropic", "claude-sonnet-4-20250514", make_usage(3_000, 100, written=2_000, hour=2_000),
     "0.0165", "1000*3 + 2000*6 + 100*15"),
    ("anthropic", "claude-sonnet-4-5-20250929", make_usage(200_000, 1_000),
     "0.615", "200000*3 + 1000*15"),
    ("anthropic", "claude-sonnet-4-5-20250929", make_usage(200_001, 1_000),
     "1.222506", "200001*6 + 1000*22.50"),
    (
        "anthropic", "claude-sonnet-4-5-20250929",
        make_usage(250_000, 2_000, cached=100_000, written=60_000, hour=20_000),
        "1.185", "90000*6 + 100000*0.60 + 40000*7.50 + 20000*12 + 2000*22.50",
    ),
    ("anthropic", "claude-opus-4-20250514", make_usage(1_500, 700, cached=500),
     "0.06825", "1000*15 + 500*1.50 + 700*75"),
    ("anthropic", "claude-opus-4-1-20250805", make_usage(600, 10, written=500, hour=100),
     "0.01275", "100*15 + 400*18.75 + 100*30 + 10*75"),
    ("anthropic", "claude-opus-4-5-20251101", make_usage(100, 2_048, reasoning=2_000),
     "0.0517", "100*5 + 2048*25"),
    ("anthropic", "claude-haiku-4-5-20251001", make_usage(12_345, 678, cached=12_000),
     "0.004935", "345*1 + 12000*0.10 + 678*5"),
    ("anthropic", "claude-haiku-4-5-20251001", make_usage(1_000, 100, **TWO_SEARCHES),
     "0.0215", "1000*1 + 100*5 + 2*10000"),
    ("anthropic", "claude-opus-4-8", make_usage(1_000, 100, speed="fast"),
     "0.015", "1000*10 + 100*50"),
    ("anthropic", "claude-opus-4-8", make_usage(1_000, 100, speed="standard"),
     "0.0075", "1000*5 + 100*25"),
    ("anthropic", "claude-opus-4-5-20251101", make_usage(23_000, 1_000, **COMPACTED),
     "1.1275", "23000*5 + 1000*25 + 180000*5 + 3500*25"),
    ("vertex-anthropic", "claude-haiku-4-5@20251001", make_usage(1_000, 1_000, cached=900),
     "0.00519", "100*1 + 900*0.10 + 1000*5"),
    ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", make_usage(700, 70),
     "0.00315", "700*3 + 70*15"),
    ("bedrock", "amazon.nova-lite-v1:0", make_usage(1_001, 99),
     "0.00008382", "1001*0.06 + 99*0.24"),
    ("bedrock", "amazon.nova-micro-v1:0", make_usage(3, 1, cached=3),
     "0.00000016625", "3*0.00875 + 1*0.14"),
    ("bedrock", "meta.llama3-1-70b-instruct-v1:0", make_usage(50, 50),
     "0.000072", "50*0.72 + 50*0.72"),
    # --- Google
    ("gemini", "gemini-1.5-flash", make_usage(128_000, 1_000),
     "0.0099", "128000*0.075 + 1000*0.30"),
    ("gemini", "gemini-1.5-flash", make_usage(128_001, 1_000),
     "0.01980015", "128001*0.15 + 1000*0.60"),
    ("gemini", "gemini-1.5-pro", make_usage(130_000, 10), "0.3251", "130000*2.50 + 10*10"),
    ("gemini", "gemini-2.0-flash", make_usage(5_000, 200, audio=4_000),
     "0.00298", "1000*0.10 + 4000*0.70 + 200*0.40"),
    ("gemini", "gemini-2.0-flash-lite", make_usage(4_321, 1_234),
     "0.000694275", "4321*0.075 + 1234*0.30"),
    (
        "gemini", "gemini-2.5-flash",
        make_usage(9_000, 1_500, cached=6_000, audio=5_000, cached_audio=4_000, reasoning=1_000),
        "0.00581", "2000*0.30 + 1000*1 + 2000*0.03 + 4000*0.10 + 1500*2.50",
    ),
    ("gemini", "gemini-2.5-flash-image", make_usage(10, 1_290, image_out=1_290),
     "0.038703", "10*0.30 + 1290*30"),
    ("gemini", "gemini-2.5-flash-lite", make_usage(100, 100, image=90),
     "0.00005", "100*0.10 + 100*0.40"),
    ("gemini", "gemini-2.5-pro", make_usage(200_000, 3_000, reasoning=2_500),
     "0.28", "200000*1.25 + 3000*10"),
    ("vertex", "gemini-2.5-pro", make_usage(300_000, 3_000, cached=250_000),
     "0.2325", "50000*2.50 + 250000*0.25 + 3000*15"),
    # --- others
    ("mistral", "mistral-large-2411", make_usage(1_000, 1_000), "0.008", "1000*2 + 1000*6"),
    ("mistral", "codestral-latest", make_usage(321, 123), "0.000207", "321*0.30 + 123*0.90"),
    ("groq", "llama-3.3-70b-versatile", make_usage(543, 210), "0.00048627", "543*0.59 + 210*0.79"),
    ("groq", "llama-3.1-8b-instant", make_usage(1, 1), "0.00000013", "1*0.05 + 1*0.08"),
    ("groq", "openai/gpt-oss-120b", make_usage(2_000, 900, reasoning=700),
     "0.00084", "2000*0.15 + 900*0.60"),
    ("cerebras", "llama3.1-8b", make_usage(10, 20), "0.000003", "10*0.10 + 20*0.10"),
    ("cohere", "command-a-03-2025", make_usage(512, 34, **COHERE_BILLED),
     "0.00037", "12*2.50 + 34*10"),
    ("cohere", "command-r-plus-08-2024", make_usage(100, 10), "0.00035", "100*2.50 + 10*10"),
    ("cohere", "command-r7b-12-2024", make_usage(1, 1), "0.0000001875", "1*0.0375 + 1*0.15"),
    ("xai", "grok-3", make_usage(1_000, 200, cached=400), "0.0051", "600*3 + 400*0.75 + 200*15"),
    ("xai", "grok-3-mini", make_usage(32, 309, reasoning=300), "0.0001641", "32*0.30 + 309*0.50"),
    ("xai", "grok-code-fast-1", make_usage(9_000, 1_000, cached=8_000),
     "0.00186", "1000*0.20 + 8000*0.02 + 1000*1.50"),
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", make_usage(11, 13),
     "0.00002112", "11*0.88 + 13*0.88"),
    ("openrouter", "openai/gpt-4o-mini", make_usage(100, 100), "0.000075", "100*0.15 + 100*0.60"),
    ("openrouter", "anthropic/claude-sonnet-4", make_usage(1_000, 10, written=900),
     "0.003825", "100*3 + 900*3.75 + 10*15"),
    ("moonshot", "kimi-k2-0711-preview", make_usage(1_000, 100, cached=500),
     "0.000625", "500*0.60 + 500*0.15 + 100*2.50"),
    ("zai", "glm-4.6", make_usage(1_000, 100), "0.00082", "1000*0.60 + 100*2.20"),
    ("perplexity", "sonar-pro", make_usage(26, 832), "0.026558", "26*3 + 832*15 + 1*14000"),
    ("echo", "echo", make_usage(5, 5), "0", "0"),
]  # fmt: skip


def evaluate(arithmetic: str) -> Fraction:
    """The exact USD of a sum of products of tokens and USD per million tokens."""
    exact = re.sub(r"[\d.]+", lambda number: f"Fraction('{number[0]}')", arithmetic)
    return Fraction(eval(exact, {"Fraction": Fraction})) / 1_000_000


@pytest.mark.parametrize(
    ("preset", "model", "usage", "expected", "arithmetic"),
    CASES,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_costs_what_the_provider_charges(
    preset: str, model: str, usage: Usage, expected: str, arithmetic: str
) -> None:
    target = make_target(preset, model)
    cost, price = lookup.cost_and_price(target, usage)
    assert cost == Decimal(expected)
    assert Fraction(expected) == evaluate(arithmetic)
    assert price is not None
    assert costs.call_cost(tables.parse(price) or {}, usage) == cost, (
        "the price in the record reproduces its cost"
    )


def test_there_are_cases_for_every_kind_of_token() -> None:
    kinds = {
        kind
        for *_, usage, _, _ in CASES
        for name in ("prompt_tokens_details", "completion_tokens_details")
        for kind in usage.get(name, ())
    }  # type: ignore[attr-defined]
    assert {
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "audio_tokens",
        "image_tokens",
        "reasoning_tokens",
    } <= kinds
    assert len(CASES) >= 40


# --- prices that change with the time ------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "model", "moment", "usage", "expected"),
    [
        (
            "deepseek",
            "deepseek-chat",
            datetime(2025, 6, 2, 12, 0, tzinfo=UTC),
            make_usage(1_000, 100, cached=600),
            "0.00026",
        ),
        (
            "deepseek",
            "deepseek-chat",
            datetime(2025, 6, 2, 20, 0, tzinfo=UTC),
            make_usage(1_000, 100, cached=600),
            "0.00013",
        ),
        (
            "deepseek",
            "deepseek-reasoner",
            datetime(2025, 6, 2, 0, 30, tzinfo=UTC),
            make_usage(1_000, 100),
            "0.000769",
        ),
        (
            "deepseek",
            "deepseek-reasoner",
            datetime(2025, 6, 2, 0, 29, tzinfo=UTC),
            make_usage(1_000, 100),
            "0.00019",
        ),
        (
            "openai",
            "o3",
            datetime(2025, 6, 9, 23, 59, tzinfo=UTC),
            make_usage(1_000, 1_000),
            "0.05",
        ),
        ("openai", "o3", datetime(2025, 6, 10, 0, 0, tzinfo=UTC), make_usage(1_000, 1_000), "0.01"),
        (
            "anthropic",
            "claude-opus-4-6",
            datetime(2026, 3, 12, tzinfo=UTC),
            make_usage(200_001, 0),
            "2.00001",
        ),
        (
            "anthropic",
            "claude-opus-4-6",
            datetime(2026, 3, 13, tzinfo=UTC),
            make_usage(200_001, 0),
            "1.000005",
        ),
    ],
)
def test_a_price_depends_on_the_hour_and_the_day(
    preset: str, model: str, moment: datetime, usage: Usage, expected: str
) -> None:
    listed = published.bundled().find_model(preset, model)
    assert listed is not None
    prices = listed.parse_prices()
    table = conversion.table_of(prices, moment=moment)
    assert table is not None
    assert costs.call_cost(table, usage) == Decimal(expected)
    assert prices.is_time_dependent()


# --- the site's own prices -----------------------------------------------------------------------

HIGH_PRICE = {"INPUT": "100", "OUTPUT": "200"}


def charged(target: Any, usage: Usage) -> tuple[Decimal | None, Any]:
    return lookup.cost_and_price(target, usage)


def test_the_price_of_the_provider_takes_precedence_over_the_published_one() -> None:
    assert charged(make_target("openai", "gpt-4o", PRICE=HIGH_PRICE), make_usage(10, 10)) == (
        Decimal("0.003"),
        HIGH_PRICE,
    )


def test_the_price_of_the_target_takes_precedence_over_that_of_the_provider() -> None:
    target_price = tables.parse({"INPUT": "0.000001", "OUTPUT": 0, "REQUEST": "0.5"})
    expected = {"INPUT": "0.000001", "OUTPUT": "0", "REQUEST": "0.5"}
    assert charged(
        make_target("openai", "gpt-4o", target_price, PRICE=HIGH_PRICE), make_usage(1, 10)
    ) == (
        Decimal("0.500000000001"),
        expected,
    )


def test_a_price_of_zero_is_a_price() -> None:
    assert charged(
        make_target("vllm", "m", PRICE={"INPUT": 0, "OUTPUT": 0}), make_usage(10, 10)
    ) == (
        0,
        {"INPUT": "0", "OUTPUT": "0"},
    )


@pytest.mark.parametrize(
    ("preset", "model"),
    [
        ("openai", "no-such-model"),
        ("azure", "our-deployment"),
        ("vllm", "gpt-4o"),
        ("ollama", "llama3.2"),
        ("github", "openai/gpt-4o"),
    ],
)
def test_an_unknown_price_is_none_and_never_zero(preset: str, model: str) -> None:
    assert charged(make_target(preset, model), make_usage(10, 10)) == (None, None)


def test_a_provider_without_a_preset_has_no_published_price() -> None:
    definition = {"PRESET": None, "DIALECT": "openai", "BASE_URL": "http://127.0.0.1:9/v1"}
    assert charged(make_target("openai", "gpt-4o", **definition), make_usage(10, 10)) == (
        None,
        None,
    )


def test_a_model_whose_published_price_does_not_fit_a_table_has_none() -> None:
    """Its citations are charged by a count that no reply contains."""
    assert charged(make_target("perplexity", "sonar-deep-research"), make_usage(10, 10)) == (
        None,
        None,
    )
