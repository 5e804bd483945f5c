"""PRICE as a site writes it, and the arithmetic of a cost, against exact fractions."""

from __future__ import annotations

from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from native_api.exceptions import ConfigurationError
from native_api.pricing import costs, lookup
from native_api.pricing import tables as prices
from native_api.types import COST_DECIMALS, Usage
from tests.usage.usage_factory import make_target, make_usage

MILLION = 1_000_000

# --- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_price_is_none(nothing: Any) -> None:
    assert prices.parse(nothing) is None


def test_amounts_are_text_whole_numbers_or_decimals() -> None:
    table = prices.parse({"INPUT": "0.15", "OUTPUT": 2, "CACHED": Decimal("0.075")})
    assert table == {"INPUT": Decimal("0.15"), "OUTPUT": Decimal(2), "CACHED": Decimal("0.075")}


def test_steps_are_listed_from_the_highest() -> None:
    table = prices.parse(
        {"INPUT": "1", "OUTPUT": "2", "ABOVE": {"128000": {"INPUT": "3"}, 256000: {"INPUT": "4"}}}
    )
    assert table is not None
    assert list(table["ABOVE"].items()) == [
        (256000, {"INPUT": Decimal(4)}),
        (128000, {"INPUT": Decimal(3)}),
    ]


@pytest.mark.parametrize(
    "amount",
    [
        0.15,
        True,
        None,
        "",
        "free",
        "-1",
        "-0",
        "NaN",
        "sNaN",
        "Infinity",
        "1e7",
        1_000_001,
        "1e-19",
        [1],
        (0, (1,), 0),
        {},
        b"1",
    ],
)
def test_what_is_no_amount_is_refused(amount: Any) -> None:
    with pytest.raises(
        ValueError, match=r"PRICE\['INPUT'\] is not a valid price. Write it as '0.15'"
    ):
        prices.parse({"INPUT": amount, "OUTPUT": "1"})


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("0.15", r"PRICE must be a dictionary. For example"),
        ([("INPUT", "1")], r"PRICE must be a dictionary"),
        (
            {"INPUTS": "1"},
            r"PRICE\['INPUTS'\] is unknown. Known: INPUT, OUTPUT, CACHED, .*, ABOVE\.",
        ),
        ({"input": "1"}, r"PRICE\['input'\] is unknown"),
        ({7: "1"}, r"PRICE\[7\] is unknown"),
        ({"CACHED": "1"}, r"PRICE must contain INPUT, OUTPUT or REQUEST"),
        ({"ABOVE": {"9": {"INPUT": "1"}}}, r"PRICE must contain INPUT"),
        ({"INPUT": "1", "ABOVE": ["9"]}, r"PRICE\['ABOVE'\] must be a dictionary"),
        (
            {"INPUT": "1", "ABOVE": {"many": {}}},
            r"PRICE\['ABOVE'\]\['many'\] must be a number of prompt tokens",
        ),
        ({"INPUT": "1", "ABOVE": {"-5": {}}}, r"must be a number of prompt tokens"),
        ({"INPUT": "1", "ABOVE": {True: {}}}, r"must be a number of prompt tokens"),
        ({"INPUT": "1", "ABOVE": {"9": "2"}}, r"PRICE\['ABOVE'\]\['9'\] must be a dictionary"),
        (
            {"INPUT": "1", "ABOVE": {"9": {"INPUT": 0.5}}},
            r"PRICE\['ABOVE'\]\['9'\]\['INPUT'\] is not a valid price",
        ),
        (
            {"INPUT": "1", "ABOVE": {"9": {"OTHER": "1"}}},
            r"PRICE\['ABOVE'\]\['9'\]\['OTHER'\] is unknown",
        ),
        ({"INPUT": "1", "ABOVE": {"9": {"ABOVE": {}}}}, r"must not contain ABOVE"),
    ],
)
def test_what_is_wrong_is_named_with_a_hint(told: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as refusal:
        prices.parse(told)
    assert refusal.value.hint


amounts = st.decimals(0, 10**6, places=6) | st.integers(0, 10**6) | st.decimals(0, 1, places=18)
members = st.dictionaries(st.sampled_from(sorted(prices.AMOUNTS)), amounts)
tables = st.builds(
    lambda base, told, steps: prices.parse({**told, **base, **({"ABOVE": steps} if steps else {})}),
    st.fixed_dictionaries({"INPUT": amounts, "OUTPUT": amounts}),
    members,
    st.dictionaries(st.integers(0, 10**6), members, max_size=3),
)


@given(table=tables)
def test_json_and_back_is_the_same_table(table: Any) -> None:
    told = prices.to_json(table)
    assert all(
        isinstance(amount, str) and "E" not in amount
        for name, amount in told.items()
        if name != "ABOVE"
    )
    assert prices.parse(told) == table
    assert list(prices.parse(told)["ABOVE"]) == list(table["ABOVE"]) if "ABOVE" in table else True


# --- what a call costs -------------------------------------------------------------------------------------------------

ALL = prices.parse(
    {
        "INPUT": "1", "OUTPUT": "10", "CACHED": "0.1", "CACHE_WRITE": "1.25", "CACHE_WRITE_1H": "2", "REASONING": "11", "INPUT_AUDIO": "40",
        "OUTPUT_AUDIO": "80", "CACHED_AUDIO": "3", "INPUT_IMAGE": "5", "OUTPUT_IMAGE": "30", "CACHED_IMAGE": "0.5", "REQUEST": "7",
        "WEB_SEARCH": "100",
    }
)  # fmt: skip


def cost(usage: Usage, table: Any = ALL) -> Decimal | None:
    return costs.call_cost(prices.parse(table), usage)


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
    assert cost(usage) == Decimal(expected)


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
def test_what_has_no_price_of_its_own_costs_as_much_as_the_rest(
    prompt: int, completion: int, details: dict[str, int]
) -> None:
    """So that the whole is the sum of the totals, where the details are within them."""
    inside = sum(details.get(name, 0) for name in ("cached", "audio", "image")) + max(
        details.get("written", 0), details.get("hour", 0)
    )
    made = sum(details.get(name, 0) for name in ("reasoning", "audio_out", "image_out"))
    usage = make_usage(prompt + inside, completion + made, **details)
    assert cost(usage, ONE_PRICE) == costs.round_cost(
        Decimal(2 * (prompt + inside) + 10 * (completion + made)).scaleb(-6)
    )


@given(table=tables, data=st.data())
def test_a_cost_is_the_exact_sum_over_tokens_that_are_each_counted_once(
    table: Any, data: st.DataObject
) -> None:
    """The parts are drawn first, then told as a provider would, and priced one by one as
    fractions."""
    counts = st.integers(0, 10**9)
    kinds = {name: data.draw(counts, name) for name in prices.PER_MILLION}
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
    told = dict(table)
    exceeded = [threshold for threshold in told.pop("ABOVE", {}) if prompt > threshold]
    told |= table["ABOVE"][max(exceeded)] if exceeded else {}
    exact = Fraction(told.get("REQUEST", 0)) + Fraction(told.get("WEB_SEARCH", 0)) * searches
    for name, count in kinds.items():
        member = next(each for each in (name, *costs.SUBSTITUTES.get(name, ())) if each in told)
        exact += Fraction(told[member]) * count / MILLION
    made = costs.call_cost(table, usage)
    assert made is not None
    assert abs(Fraction(made) - exact) <= Fraction(1, 2 * 10**12)
    assert prices.count_decimals(made) <= COST_DECIMALS
    if exact * 10**12 == int(exact * 10**12):
        assert Fraction(made) == exact


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
def test_counts_that_contradict_each_other_make_no_negative_cost(usage: Usage) -> None:
    made = cost(usage)
    assert made is not None
    assert made >= 7


@pytest.mark.parametrize("odd", [None, "12", -3, float("nan"), float("inf"), 2**60, [], {}])
def test_what_is_no_count_is_none(odd: Any) -> None:
    usage: Any = {
        "prompt_tokens": odd,
        "completion_tokens": 2,
        "total_tokens": odd,
        "prompt_tokens_details": odd,
        "iterations": odd,
    }
    assert cost(usage) == Decimal("7.00002")


def test_tokens_of_two_kinds_are_not_paid_for_twice_where_their_overlap_is_not_told() -> None:
    """100 tokens of which 80 are cached and 90 are audio: at least 70 are both."""
    assert cost(make_usage(100, cached=80, audio=90), {"INPUT": "1", "OUTPUT": "1"}) == Decimal(
        "0.0001"
    )
    assert cost(make_usage(100, cached=80, audio=90)) == 7 + Decimal(
        10 * 100_000 + 70 * 3_000_000 + 20 * 40_000_000
    ).scaleb(-12)


def test_what_is_billed_replaces_the_counts_and_their_details() -> None:
    usage = make_usage(
        500,
        100,
        cached=400,
        billed_units={"input_tokens": 10.0, "output_tokens": 20, "search_units": 1},
    )
    assert cost(usage, ONE_PRICE) == Decimal("0.00022")


@pytest.mark.parametrize(
    ("prompt", "input_price"), [(99, 1), (100, 1), (101, 3), (200, 3), (201, 5)]
)
def test_the_highest_step_that_is_exceeded_counts_for_the_whole_request(
    prompt: int, input_price: int
) -> None:
    table = {
        "INPUT": "1",
        "OUTPUT": "2",
        "ABOVE": {"100": {"INPUT": "3", "OUTPUT": "4"}, "200": {"INPUT": "5"}},
    }
    output_price = 4 if 100 < prompt <= 200 else 2
    assert cost(make_usage(prompt, 10), table) == Decimal(
        prompt * input_price + 10 * output_price
    ).scaleb(-6)


def test_a_cost_is_rounded_half_up_at_twelve_decimals() -> None:
    assert cost(make_usage(1), {"INPUT": "0.0000005", "OUTPUT": 0}) == Decimal("0.000000000001")
    assert cost(make_usage(1), {"INPUT": "0.00000049", "OUTPUT": 0}) == 0
    assert cost(make_usage(3), {"INPUT": "0.15", "OUTPUT": 0}) == Decimal("0.00000045")


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
def test_a_side_without_a_price_is_free_only_where_the_request_is_all_that_is_paid(
    table: Any, usage: Usage, expected: str | None
) -> None:
    assert cost(usage, table) == (None if expected is None else Decimal(expected))


def test_the_precision_that_a_site_computes_with_makes_no_difference() -> None:
    """123456789 * 0.123456 is 15241481.342784, and 987654321 * 1.654321 is 1633897283.971041."""
    with localcontext() as context:
        context.prec = 3
        made = cost(
            make_usage(123_456_789, 987_654_321), {"INPUT": "0.123456", "OUTPUT": "1.654321"}
        )
    assert made == Decimal("1649.138765313825")
    assert getcontext().prec == 28


# --- before the call, and for comparing --------------------------------------------------------------------------------


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
def test_an_estimate_is_what_a_call_may_cost_at_most(
    table: Any, tokens: tuple[int, int], expected: str | None
) -> None:
    target = make_target("openai", "gpt-4o", prices.parse(table))
    assert lookup.max_cost(target, *tokens) == (None if expected is None else Decimal(expected))


@given(
    table=tables,
    prompt=st.integers(0, 10**6),
    written=st.integers(0, 10**6),
    completion=st.integers(0, 10**6),
    thought=st.integers(0, 10**6),
)
def test_no_call_of_text_costs_more_than_its_estimate(
    table: Any, prompt: int, written: int, completion: int, thought: int
) -> None:
    usage = make_usage(prompt + written, completion + thought, written=written, reasoning=thought)
    told, most = (
        costs.call_cost(table, usage),
        costs.max_cost(table, prompt + written, completion + thought),
    )
    assert told is not None
    assert most is not None
    assert told <= most


def test_targets_are_compared_at_three_tokens_in_for_one_out() -> None:
    assert lookup.blended_price(make_target("openai", "gpt-4o")) == Decimal("4.375")
    assert lookup.blended_price(make_target("vllm", "m")) is None
    assert lookup.max_cost(make_target("vllm", "m"), 1, 1) is None


# --- charging ----------------------------------------------------------------------------------------------------------


def test_nothing_known_is_nothing_charged() -> None:
    assert lookup.cost_and_price(make_target("openai", "gpt-4o"), None) == (None, None)
    assert lookup.cost_and_price(None, make_usage(1, 1)) == (None, None)


def test_a_cost_that_no_database_holds_is_not_recorded() -> None:
    cost, _price = lookup.cost_and_price(
        make_target("openai", "m", prices.parse({"INPUT": MILLION, "OUTPUT": MILLION})),
        make_usage(2**52, 0),
    )
    assert cost is None


def test_a_price_once_looked_up_is_at_hand() -> None:
    lookup.load()
    target = make_target("openrouter", "no/such-model")
    assert lookup.price_of(target) is None
    edition = lookup._published.edition
    try:
        lookup._published.edition = None
        assert lookup.price_of(target) is None
        assert lookup._published.edition is None, "it did not look again"
    finally:
        lookup._published.edition = edition


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MAX_REMEMBERED_TABLES", 3)
    lookup.forget_prices()
    for number in range(20):
        assert lookup.price_of(make_target("openai", f"m-{number}")) is None
    assert len(lookup._published.remembered) <= 3
