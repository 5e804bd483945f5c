"""PRICE as a site writes it, converted to a table and to JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given

from native_api.exceptions import ConfigurationError
from native_api.pricing import tables
from tests.pricing.price_strategies import price_tables


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_empty_price_is_none(nothing: Any) -> None:
    assert tables.parse(nothing) is None


def test_amounts_are_text_whole_numbers_or_decimals() -> None:
    table = tables.parse({"INPUT": "0.15", "OUTPUT": 2, "CACHED": Decimal("0.075")})
    assert table == {"INPUT": Decimal("0.15"), "OUTPUT": Decimal(2), "CACHED": Decimal("0.075")}


def test_steps_are_sorted_from_the_highest() -> None:
    table = tables.parse(
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
def test_invalid_amounts_are_refused(amount: Any) -> None:
    with pytest.raises(
        ValueError, match=r"PRICE\['INPUT'\] is not a valid price. Write it as '0.15'"
    ):
        tables.parse({"INPUT": amount, "OUTPUT": "1"})


@pytest.mark.parametrize(
    ("definition", "message"),
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
def test_errors_name_the_path_and_have_a_hint(definition: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        tables.parse(definition)
    assert caught.value.hint


@given(table=price_tables)
def test_json_and_back_is_the_same_table(table: Any) -> None:
    members = tables.to_json(table)
    assert all(
        isinstance(amount, str) and "E" not in amount
        for name, amount in members.items()
        if name != "ABOVE"
    )
    assert tables.parse(members) == table
    assert (
        list(tables.parse(members)["ABOVE"]) == list(table["ABOVE"]) if "ABOVE" in table else True
    )
