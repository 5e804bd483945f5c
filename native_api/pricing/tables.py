"""Price tables: a PRICE from the settings or a row, checked and converted, and back to JSON.

Exact to the last digit: amounts are Decimal from text or whole numbers, never a float.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final

from native_api.exceptions import ConfigurationError
from native_api.types import Json

Table = Mapping[str, Any]
"""Amounts by name, and under ABOVE the steps for long contexts, the highest first: `{200000:
{"INPUT": Decimal("2.50")}}`."""

PER_MILLION: Final = (
    "INPUT", "OUTPUT", "CACHED", "CACHE_WRITE", "CACHE_WRITE_1H", "REASONING",
    "INPUT_AUDIO", "OUTPUT_AUDIO", "CACHED_AUDIO", "INPUT_IMAGE", "OUTPUT_IMAGE", "CACHED_IMAGE",
)  # fmt: skip
"""USD per million tokens."""

PER_USE: Final = ("REQUEST", "WEB_SEARCH")
"""USD each."""

AMOUNTS: Final = frozenset(PER_MILLION + PER_USE)
ABOVE: Final = "ABOVE"

MAX_AMOUNT: Final = 1_000_000
"""USD. More than this is a typing error."""

MAX_DECIMALS: Final = 18
"""Of an amount. Keeps every sum exact."""

EXACT: Final = Context(prec=80, rounding=ROUND_HALF_UP)
"""Room for every digit of 2**53 tokens at MAX_AMOUNT with MAX_DECIMALS, several times over."""

ZERO: Final = Decimal(0)


def parse(definition: Any) -> Table | None:
    """`{"INPUT": "0.15", "OUTPUT": "0.60"}` as a table; None for None and {}.

    Raises ConfigurationError.
    """
    if definition in (None, {}):
        return None
    table = _parse_amounts(definition, "PRICE")
    if not table.keys() & {"INPUT", "OUTPUT", "REQUEST"}:
        raise ConfigurationError(
            "PRICE must contain INPUT, OUTPUT or REQUEST",
            "INPUT and OUTPUT are in USD per million tokens, REQUEST in USD.",
        )
    if definition.get(ABOVE):
        table[ABOVE] = _parse_steps(definition[ABOVE])
    return table


def _parse_amounts(definition: Any, path: str) -> Json:
    if not isinstance(definition, Mapping):
        raise ConfigurationError(
            f"{path} must be a dictionary",
            "For example {'INPUT': '0.15', 'OUTPUT': '0.60'}, in USD per million tokens.",
        )
    unknown = [name for name in definition if name not in AMOUNTS and name != ABOVE]
    if unknown:
        raise ConfigurationError(
            f"{path}[{unknown[0]!r}] is unknown",
            f"Known: {', '.join((*PER_MILLION, *PER_USE, ABOVE))}.",
        )
    return {
        name: _parse_amount(f"{path}[{name!r}]", amount)
        for name, amount in definition.items()
        if name != ABOVE
    }


def _parse_amount(path: str, value: Any) -> Decimal:
    try:
        if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
            raise ValueError
        amount = Decimal(value)
        if (
            not amount.is_finite()
            or amount.is_signed()
            or amount > MAX_AMOUNT
            or count_decimals(amount) > MAX_DECIMALS
        ):
            raise ValueError
    except (InvalidOperation, ValueError):
        raise ConfigurationError(
            f"{path} is not a valid price", "Write it as '0.15', in USD per million tokens."
        ) from None
    return amount or ZERO


def count_decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else MAX_AMOUNT


def _parse_steps(definition: Any) -> dict[int, Json]:
    if not isinstance(definition, Mapping):
        raise ConfigurationError(
            "PRICE['ABOVE'] must be a dictionary",
            "For example {'200000': {'INPUT': '2.50'}}: the prices above 200000 prompt tokens.",
        )
    steps = {}
    for threshold, amounts in definition.items():
        path = f"PRICE['ABOVE'][{threshold!r}]"
        if isinstance(amounts, Mapping) and ABOVE in amounts:
            raise ConfigurationError(
                f"{path} must not contain ABOVE", "List every step in PRICE['ABOVE']."
            )
        steps[_parse_threshold(path, threshold)] = _parse_amounts(amounts, path)
    return dict(sorted(steps.items(), reverse=True))


def _parse_threshold(path: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise ConfigurationError(
            f"{path} must be a number of prompt tokens", "Write it as '200000'."
        )
    return int(text)


def to_json(table: Table) -> Json:
    """The table with amounts as text. `parse` converts it back to the same table."""
    members: Json = {name: f"{amount:f}" for name, amount in table.items() if name != ABOVE}
    if ABOVE in table:
        members[ABOVE] = {str(threshold): to_json(step) for threshold, step in table[ABOVE].items()}
    return members
