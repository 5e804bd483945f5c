"""The arithmetic of a call's cost, against exact fractions."""

from __future__ import annotations

from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.pricing import costs, lookup, tables
from native_api.types import Usage
from native_api.types.config import COST_DECIMALS
from tests.pricing.price_strategies import price_tables
from tests.usage.usage_factory import make_target, make_usage

MILLION = 1_000_000

ALL = tables.parse(
    {
        "INPUT": "1", "CACHED": "0.1", "CACHE_WRITE": "1.25", "CACHE_WRITE_1H": "2",
        "INPUT_AUDIO": "40", "CACHED_AUDIO": "3", "INPUT_IMAGE": "5", "CACHED_IMAGE": "0.5",
        "OUTPUT": "10", "REASONING": "11", "OUTPUT_AUDIO": "80", "OUTPUT_IMAGE": "30",
        "REQUEST": "7", "WEB_SEARCH": "100",
    }
)  # fmt: skip


def cost_of(usage: Usage, table: Any = ALL) -> Decimal | None:
    return costs.call_cost(tables.parse(table), usage)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (make_usage(), "7"),
        (make_usage(MILLION), "8"),
        (make_usage(0, MILLION), "17"),
        (make_usage(MILLION, cached=MILLION), "7.1"),
        (make_usage(MILLION, written=MILLION), "8.25"),
        (make_usage(MILLION, written=MILLION, hour=MILLION), "9"),
        (make_usage(MILLION, written=MILLION, hour=400_000), "8.55"),
        (make_usage(MILLION, audio=MILLION), "47"),
        (make_usage(MILLION, audio=MILLION, cached=MILLION, cached_audio=MILLION), "10"),
        (make_usage(MILLION, image=MILLION), "12"),
        (make_usage(MILLION, image=MILLION, cached=MILLION, cached_image=MILLION), "7.5"),
        (make_usage(0, MILLION, reasoning=MILLION), "18"),
        (make_usage(0, MILLION, audio_out=MILLION), "87"),
        (make_usage(0, MILLION, image_out=MILLION), "37"),
        (make_usage(server_tool_use={"web_search_requests": 3}), "307"),
        (make_usage(num_search_queries=2), "207"),
    ],
)
def test_every_kind_has_its_own_price(usage: Usage, expected: str) -> None:
    assert cost_of(usage) == Decimal(expected)


ONE_PRICE = {"INPUT": "2", "OUTPUT": "10"}


@given(
    prompt=st.integers(0, 10**7),
    completion=st.integers(0, 10**7),
    details=st.fixed_dictionaries(
        {},
        optional={
            name: st.integers(0, 10**6)
            for name in (
                "cached",
                "written",
                "hour",
                "audio",
                "image",
                "reasoning",
                "audio_out",
                "image_out",
            )
        },
    ),
)
def test_kinds_without_their_own_price_cost_as_much_as_the_rest(
    prompt: int, completion: int, details: dict[str, int]
) -> None:
    """The cost then follows from the totals alone, if they contain the details."""
    inside = sum(details.get(name, 0) for name in ("cached", "audio", "image")) + max(
        details.get("written", 0), details.get("hour", 0)
    )
    produced = sum(details.get(name, 0) for name in ("reasoning", "audio_out", "image_out"))
    usage = make_usage(prompt + inside, completion + produced, **details)
    assert cost_of(usage, ONE_PRICE) == costs.round_cost(
        Decimal(2 * (prompt + inside) + 10 * (completion + produced)).scaleb(-6)
    )


@given(table=price_tables, data=st.data())
def test_a_cost_is_the_exact_sum_over_tokens_that_are_each_counted_once(
    table: Any, data: st.DataObject
) -> None:
    """The counts are drawn by kind, reported as a provider would, and priced as fractions."""
    counts = st.integers(0, 10**9)
    kinds = {name: data.draw(counts, name) for name in tables.PER_MILLION}
    searches = data.draw(st.integers(0, 1000), "searches")
    prompt = sum(
        count
        for name, count in kinds.items()
        if not name.startswith("OUTPUT") and name != "REASONING"
    )
    usage = make_usage(
        prompt,
        sum(
            count
            for name, count in kinds.items()
            if name.startswith("OUTPUT") or name == "REASONING"
        ),
        cached=kinds["CACHED"] + kinds["CACHED_AUDIO"] + kinds["CACHED_IMAGE"],
        written=kinds["CACHE_WRITE"] + kinds["CACHE_WRITE_1H"],
        hour=kinds["CACHE_WRITE_1H"],
        audio=kinds["INPUT_AUDIO"] + kinds["CACHED_AUDIO"],
        image=kinds["INPUT_IMAGE"] + kinds["CACHED_IMAGE"],
        cached_audio=kinds["CACHED_AUDIO"],
        cached_image=kinds["CACHED_IMAGE"],
        reasoning=kinds["REASONING"],
        audio_out=kinds["OUTPUT_AUDIO"],
        image_out=kinds["OUTPUT_IMAGE"],
        server_tool_use={"web_search_requests": searches},
    )
    rates = dict(table)
    exceeded = [threshold for threshold in rates.pop("ABOVE", {}) if prompt > threshold]
    rates |= table["ABOVE"][max(exceeded)] if exceeded else {}
    exact = Fraction(rates.get("REQUEST", 0))
    exact += Fraction(rates.get("WEB_SEARCH", 0)) * searches
    for name, count in kinds.items():
        member = next(each for each in (name, *costs.SUBSTITUTES.get(name, ())) if each in rates)
        exact += Fraction(rates[member]) * count / MILLION
    cost = costs.call_cost(table, usage)
    assert cost is not None
    assert abs(Fraction(cost) - exact) <= Fraction(1, 2 * 10**12)
    assert tables.count_decimals(cost) <= COST_DECIMALS
    if exact * 10**12 == int(exact * 10**12):
        assert Fraction(cost) == exact


@given(
    usage=st.builds(
        make_usage,
        *[st.integers(-5, 10**4)] * 2,
        **{
            name: st.integers(-5, 10**5)
            for name in (
                "cached",
                "written",
                "hour",
                "audio",
                "cached_audio",
                "reasoning",
                "audio_out",
            )
        },
    )
)
def test_contradictory_counts_never_make_a_negative_cost(usage: Usage) -> None:
    cost = cost_of(usage)
    assert cost is not None
    assert cost >= 7


@pytest.mark.parametrize("odd", [None, "12", -3, float("nan"), float("inf"), 2**60, [], {}])
def test_invalid_counts_count_nothing(odd: Any) -> None:
    usage: Any = {
        "prompt_tokens": odd,
        "completion_tokens": 2,
        "total_tokens": odd,
        "prompt_tokens_details": odd,
        "iterations": odd,
    }
    assert cost_of(usage) == Decimal("7.00002")


def test_tokens_of_two_kinds_are_not_charged_twice_if_the_overlap_is_not_reported() -> None:
    """100 tokens of which 80 are cached and 90 are audio: at least 70 are both."""
    assert cost_of(make_usage(100, cached=80, audio=90), {"INPUT": "1", "OUTPUT": "1"}) == Decimal(
        "0.0001"
    )
    assert cost_of(make_usage(100, cached=80, audio=90)) == 7 + Decimal(
        10 * 100_000 + 70 * 3_000_000 + 20 * 40_000_000
    ).scaleb(-12)


def test_billed_units_replace_the_counts_and_their_details() -> None:
    usage = make_usage(
        500,
        100,
        cached=400,
        billed_units={"input_tokens": 10.0, "output_tokens": 20, "search_units": 1},
    )
    assert cost_of(usage, ONE_PRICE) == Decimal("0.00022")


@pytest.mark.parametrize(
    ("prompt", "input_price"), [(99, 1), (100, 1), (101, 3), (200, 3), (201, 5)]
)
def test_the_highest_exceeded_step_applies_to_the_whole_request(
    prompt: int, input_price: int
) -> None:
    table = {
        "INPUT": "1",
        "OUTPUT": "2",
        "ABOVE": {"100": {"INPUT": "3", "OUTPUT": "4"}, "200": {"INPUT": "5"}},
    }
    output_price = 4 if 100 < prompt <= 200 else 2
    assert cost_of(make_usage(prompt, 10), table) == Decimal(
        prompt * input_price + 10 * output_price
    ).scaleb(-6)


def test_a_cost_is_rounded_half_up_at_twelve_decimals() -> None:
    assert cost_of(make_usage(1), {"INPUT": "0.0000005", "OUTPUT": 0}) == Decimal("0.000000000001")
    assert cost_of(make_usage(1), {"INPUT": "0.00000049", "OUTPUT": 0}) == 0
    assert cost_of(make_usage(3), {"INPUT": "0.15", "OUTPUT": 0}) == Decimal("0.00000045")


@pytest.mark.parametrize(
    ("table", "usage", "expected"),
    [
        ({"INPUT": "1"}, make_usage(10, 0), "0.00001"),
        ({"INPUT": "1"}, make_usage(10, 1), None),
        ({"OUTPUT": "1"}, make_usage(1, 1), None),
        ({"INPUT": "1", "REQUEST": "2"}, make_usage(1, 1), None),
        ({"REQUEST": "2"}, make_usage(10, 10), "2"),
        ({"REQUEST": "2", "CACHED": "1"}, make_usage(MILLION, 10, cached=MILLION), "3"),
    ],
)
def test_a_side_without_a_price_is_free_only_if_requests_alone_are_charged(
    table: Any, usage: Usage, expected: str | None
) -> None:
    assert cost_of(usage, table) == (None if expected is None else Decimal(expected))


def test_the_decimal_context_of_the_site_makes_no_difference() -> None:
    """123456789 * 0.123456 is 15241481.342784, and 987654321 * 1.654321 is 1633897283.971041."""
    with localcontext() as context:
        context.prec = 3
        cost = cost_of(
            make_usage(123_456_789, 987_654_321), {"INPUT": "0.123456", "OUTPUT": "1.654321"}
        )
    assert cost == Decimal("1649.138765313825")
    assert getcontext().prec == 28


# --- before the call, and for comparing ----------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "tokens", "expected"),
    [
        ({"INPUT": "1", "OUTPUT": "2"}, (100, 10), "0.00012"),
        (
            {"INPUT": "1", "CACHE_WRITE": "1.25", "CACHE_WRITE_1H": "2", "OUTPUT": "2"},
            (100, 10),
            "0.000145",
        ),
        ({"INPUT": "1", "OUTPUT": "2", "REASONING": "3", "REQUEST": "1"}, (100, 10), "1.00013"),
        ({"INPUT": "1", "OUTPUT": "2", "ABOVE": {"99": {"INPUT": "5"}}}, (100, 10), "0.00052"),
        ({"REQUEST": "1"}, (100, 10), "1"),
        ({"INPUT": "1"}, (100, 10), None),
    ],
)
def test_the_maximum_cost_assumes_the_dearer_kind_of_token(
    table: Any, tokens: tuple[int, int], expected: str | None
) -> None:
    target = make_target("openai", "gpt-4o", tables.parse(table))
    assert lookup.max_cost(target, *tokens) == (None if expected is None else Decimal(expected))


@given(
    table=price_tables,
    prompt=st.integers(0, 10**6),
    written=st.integers(0, 10**6),
    completion=st.integers(0, 10**6),
    reasoning=st.integers(0, 10**6),
)
def test_no_text_call_costs_more_than_its_maximum(
    table: Any, prompt: int, written: int, completion: int, reasoning: int
) -> None:
    usage = make_usage(
        prompt + written, completion + reasoning, written=written, reasoning=reasoning
    )
    cost = costs.call_cost(table, usage)
    maximum = costs.max_cost(table, prompt + written, completion + reasoning)
    assert cost is not None
    assert maximum is not None
    assert cost <= maximum


def test_blended_prices_assume_three_input_tokens_for_each_output_token() -> None:
    assert lookup.blended_price(make_target("openai", "gpt-4o")) == Decimal("4.375")
    assert lookup.blended_price(make_target("vllm", "m")) is None
    assert lookup.max_cost(make_target("vllm", "m"), 1, 1) is None
