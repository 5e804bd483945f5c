"""Prices as values: what a site writes under PRICE, read and checked, and what a call costs by it.

Exact to the last digit: amounts are Decimal from text or whole numbers, never a float. No token is
counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, Final

from native_api.exceptions import ConfigurationError
from native_api.types import COST_DECIMALS, Json, Usage

Table = Mapping[str, Any]
"""Amounts by their member's name, and under ABOVE the long-context steps: `{200000: {"INPUT":
Decimal("2.50")}}`, the highest first."""

PER_MILLION: Final = (
    "INPUT", "OUTPUT", "CACHED", "CACHE_WRITE", "CACHE_WRITE_1H", "REASONING",
    "INPUT_AUDIO", "OUTPUT_AUDIO", "CACHED_AUDIO", "INPUT_IMAGE", "OUTPUT_IMAGE", "CACHED_IMAGE",
)  # fmt: skip
"""USD per million tokens."""

PER_USE: Final = ("REQUEST", "WEB_SEARCH")
"""USD each."""

AMOUNTS: Final = frozenset(PER_MILLION + PER_USE)
ABOVE: Final = "ABOVE"

INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "CACHED": ("INPUT",),
    "CACHE_WRITE": ("INPUT",),
    "CACHE_WRITE_1H": ("CACHE_WRITE", "INPUT"),
    "REASONING": ("OUTPUT",),
    "INPUT_AUDIO": ("INPUT",),
    "OUTPUT_AUDIO": ("OUTPUT",),
    "CACHED_AUDIO": ("CACHED", "INPUT_AUDIO", "INPUT"),
    "INPUT_IMAGE": ("INPUT",),
    "OUTPUT_IMAGE": ("OUTPUT",),
    "CACHED_IMAGE": ("CACHED", "INPUT_IMAGE", "INPUT"),
}
"""What counts where a member is not told, the first that is."""

MOST: Final = 1_000_000
"""USD: more than this is a slip of the pen."""

MOST_DECIMALS: Final = 18
"""Of an amount, which keeps every sum below exact."""

MOST_TOKENS: Final = 2**53
"""More than this nobody means: it would not fit the database either."""

EXACT: Final = Context(prec=80, rounding=ROUND_HALF_UP)
"""Room for every digit of 2**53 tokens at MOST with MOST_DECIMALS, several times over."""

LAST_DIGIT: Final = Decimal(1).scaleb(-COST_DECIMALS)
ZERO: Final = Decimal(0)
INPUT_SHARE: Final = Decimal("0.75")
"""Of the tokens that are paid for: three are read for each that is written. Only for comparing
targets with each other."""


# --- reading -------------------------------------------------------------------------------------------------


def parse(value: Any) -> Table | None:
    """`{"INPUT": "0.15", "OUTPUT": "0.60"}` as a table, None for nothing. Raises
    ConfigurationError."""
    if value in (None, {}):
        return None
    table = _members(value, "PRICE")
    if not table.keys() & {"INPUT", "OUTPUT", "REQUEST"}:
        raise ConfigurationError(
            "PRICE tells no price",
            "Give INPUT and OUTPUT, in USD per million tokens, or REQUEST, in USD.",
        )
    if value.get(ABOVE):
        table[ABOVE] = _steps(value[ABOVE])
    return table


def _members(value: Any, place: str) -> Json:
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"{place} must be a dictionary",
            "Such as {'INPUT': '0.15', 'OUTPUT': '0.60'}, in USD per million tokens.",
        )
    unknown = [name for name in value if name not in AMOUNTS and name != ABOVE]
    if unknown:
        raise ConfigurationError(
            f"{place}[{unknown[0]!r}] is unknown",
            f"Known: {', '.join((*PER_MILLION, *PER_USE, ABOVE))}.",
        )
    return {
        name: _amount(f"{place}[{name!r}]", amount)
        for name, amount in value.items()
        if name != ABOVE
    }


def _amount(place: str, value: Any) -> Decimal:
    try:
        if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
            raise ValueError
        amount = Decimal(value)
        if (
            not amount.is_finite()
            or amount.is_signed()
            or amount > MOST
            or _decimals(amount) > MOST_DECIMALS
        ):
            raise ValueError
    except (InvalidOperation, ValueError):
        raise ConfigurationError(
            f"{place} is no price", "Write it as '0.15', in USD per million tokens."
        ) from None
    return amount or ZERO


def _decimals(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else MOST


def _steps(value: Any) -> dict[int, Json]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            "PRICE['ABOVE'] must be a dictionary",
            "Such as {'200000': {'INPUT': '2.50'}}: prices above so many prompt tokens.",
        )
    steps = {}
    for threshold, members in value.items():
        place = f"PRICE['ABOVE'][{threshold!r}]"
        if isinstance(members, Mapping) and ABOVE in members:
            raise ConfigurationError(
                f"{place} has steps itself", "List every step in PRICE['ABOVE']."
            )
        steps[_threshold(place, threshold)] = _members(members, place)
    return dict(sorted(steps.items(), reverse=True))


def _threshold(place: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise ConfigurationError(f"{place} is no number of prompt tokens", "Write it as '200000'.")
    return int(text)


def to_json(table: Table) -> Json:
    """The table with amounts as text, which `parse` reads back as the same."""
    told: Json = {name: f"{amount:f}" for name, amount in table.items() if name != ABOVE}
    if ABOVE in table:
        told[ABOVE] = {
            str(threshold): to_json(members) for threshold, members in table[ABOVE].items()
        }
    return told


# --- what a call costs -----------------------------------------------------------------------------------------


def cost(table: Table, usage: Usage) -> Decimal | None:
    """USD, rounded half up where it has more than 12 decimals. None where tokens were used for
    which the table tells no price.

    A table of REQUEST alone tells that tokens are free; otherwise a free side is told as '0'.
    """
    told: Mapping[str, Any] = usage
    billed = _object(told, "billed_units")
    counted = _billed(billed) if billed else told
    prompt = count_of(counted.get("prompt_tokens"))
    rates = at(table, prompt)
    parts = [
        *_of_prompt(prompt, _object(counted, "prompt_tokens_details")),
        *_of_completion(counted),
        *_beside(told),
    ]
    total: Decimal = rates.get("REQUEST", ZERO)
    for name, count in parts:
        amount = _price(rates, name, count) if count else ZERO
        if amount is None:
            return None
        total = EXACT.add(total, amount)
    return rounded(EXACT.add(total, EXACT.multiply(rates.get("WEB_SEARCH", ZERO), _searches(told))))


def _price(rates: Table, name: str, count: int) -> Decimal | None:
    """USD for so many tokens."""
    told = rate(rates, name)
    return None if told is None else EXACT.multiply(told, count).scaleb(-6, EXACT)


def at(table: Table, prompt_tokens: int) -> Table:
    """The amounts for a request of this size: those of the highest step that it exceeds in place of
    the base ones."""
    for threshold, members in table.get(ABOVE, {}).items():
        if prompt_tokens > threshold:
            return {**table, **members}
    return table


def rate(table: Table, name: str) -> Decimal | None:
    """USD per million tokens of a kind, by the member told for it or what counts instead."""
    for member in (name, *INSTEAD.get(name, ())):
        if member in table:
            amount: Decimal = table[member]
            return amount
    return ZERO if not table.keys() & {"INPUT", "OUTPUT"} else None


def rounded(amount: Decimal) -> Decimal:
    return (
        amount.quantize(LAST_DIGIT, context=EXACT) if _decimals(amount) > COST_DECIMALS else amount
    )


def _billed(told: Mapping[str, Any]) -> Json:
    """Cohere's `billed_units` by our names. What it counts otherwise does not divide these."""
    return {
        "prompt_tokens": told.get("input_tokens"),
        "completion_tokens": told.get("output_tokens"),
    }


def _of_prompt(prompt: int, details: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """What was read, each token in one kind. The plain rest is never below zero, whatever the
    details add up to."""
    cached, written, audio, image = (
        count_of(details.get(f"{name}_tokens"))
        for name in ("cached", "cache_write", "audio", "image")
    )
    hour = count_of(details.get("cache_write_1h_tokens"))
    excess = cached + max(written, hour) + audio + image - prompt
    cached_audio = _shared(details.get("cached_audio_tokens"), cached, audio, excess)
    cached_image = _shared(
        details.get("cached_image_tokens"), cached - cached_audio, image, excess - cached_audio
    )
    parts = (
        ("CACHED", _rest(cached, cached_audio, cached_image)),
        ("CACHED_AUDIO", cached_audio),
        ("CACHED_IMAGE", cached_image),
        ("CACHE_WRITE", _rest(written, hour)),
        ("CACHE_WRITE_1H", hour),
        ("INPUT_AUDIO", _rest(audio, cached_audio)),
        ("INPUT_IMAGE", _rest(image, cached_image)),
    )
    yield "INPUT", _rest(prompt, *(count for _, count in parts))
    yield from parts


def _of_completion(counted: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    details = _object(counted, "completion_tokens_details")
    kinds = (
        ("REASONING", "reasoning_tokens"),
        ("OUTPUT_AUDIO", "audio_tokens"),
        ("OUTPUT_IMAGE", "image_tokens"),
    )
    parts = [(name, count_of(details.get(count))) for name, count in kinds]
    yield (
        "OUTPUT",
        _rest(count_of(counted.get("completion_tokens")), *(count for _, count in parts)),
    )
    yield from parts


def _shared(told: Any, first: int, second: int, excess: int) -> int:
    """Tokens that two kinds have in common: as told, else as many as the kinds exceed the whole
    by."""
    return count_of(told) if told is not None else max(0, min(first, second, excess))


def _beside(told: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Anthropic's compactions: runs of the same model whose tokens are in no other count."""
    iterations = told.get("iterations")
    for run in iterations if isinstance(iterations, list) else ():
        if isinstance(run, dict) and run.get("type") == "compaction":
            hour = count_of(_object(run, "cache_creation").get("ephemeral_1h_input_tokens"))
            yield "INPUT", count_of(run.get("input_tokens"))
            yield "CACHED", count_of(run.get("cache_read_input_tokens"))
            yield "CACHE_WRITE", _rest(count_of(run.get("cache_creation_input_tokens")), hour)
            yield "CACHE_WRITE_1H", hour
            yield "OUTPUT", count_of(run.get("output_tokens"))


def _searches(told: Mapping[str, Any]) -> int:
    """Searches of the web by the provider's own tool: Anthropic's count, or Perplexity's."""
    return count_of(_object(told, "server_tool_use").get("web_search_requests")) or count_of(
        told.get("num_search_queries")
    )


def _object(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = told.get(name)
    return value if isinstance(value, Mapping) else {}


def count_of(value: Any) -> int:
    """A count that a provider told; 0 where it is none."""
    return int(value) if isinstance(value, int | float) and 0 <= value < MOST_TOKENS else 0


def _rest(whole: int, *parts: int) -> int:
    return max(0, whole - sum(parts))


# --- before the call -------------------------------------------------------------------------------------------


def most(table: Table, prompt_tokens: int, completion_tokens: int) -> Decimal | None:
    """USD that a call of text may cost at most: with its prompt written to a cache, or all that is
    written being reasoning."""
    rates = at(table, prompt_tokens)
    reading = [rate(rates, name) for name in ("INPUT", "CACHE_WRITE")]
    writing = [rate(rates, name) for name in ("OUTPUT", "REASONING")]
    sides = ((reading, prompt_tokens), (writing, completion_tokens))
    total = rates.get("REQUEST", ZERO)
    for amounts, count in sides:
        known = [amount for amount in amounts if amount is not None]
        if count and not known:
            return None
        total = EXACT.add(
            total,
            EXACT.multiply(max(known, default=ZERO), min(count, MOST_TOKENS)).scaleb(-6, EXACT),
        )
    return rounded(total)


def blended(table: Table) -> Decimal | None:
    """One price for comparing, in USD per million tokens; None where a table tells none by the
    token."""
    told_input, told_output = table.get("INPUT"), table.get("OUTPUT")
    if told_input is None or told_output is None:
        one: Decimal | None = told_output if told_input is None else told_input
        return one
    mixed: Decimal = told_input * INPUT_SHARE + told_output * (1 - INPUT_SHARE)
    return mixed
