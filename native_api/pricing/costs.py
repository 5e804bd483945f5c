"""What a call costs by a price table.

Exact to the last digit, and no token is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from native_api.pricing.tables import ABOVE, EXACT, ZERO, Table, count_decimals
from native_api.types import Json, Usage
from native_api.types.config import COST_DECIMALS

SUBSTITUTES: Final[Mapping[str, tuple[str, ...]]] = {
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
"""If a table lacks a member, the first of these that it has is used."""

MAX_TOKENS: Final = 2**53
"""A larger count is an error: it would not fit in the database either."""

LAST_DIGIT: Final = Decimal(1).scaleb(-COST_DECIMALS)

INPUT_SHARE: Final = Decimal("0.75")
"""Three tokens are read for each that is written. Only for comparing targets."""


def call_cost(table: Table, usage: Usage) -> Decimal | None:
    """USD, rounded half up if it has more than 12 decimals.

    None if tokens were used that the table has no price for. In a table of REQUEST alone tokens
    are free; otherwise a free side needs the price '0'.
    """
    reported: Mapping[str, Any] = usage
    billed = _mapping(reported, "billed_units")
    counts = _billed_counts(billed) if billed else reported
    prompt = token_count(counts.get("prompt_tokens"))
    rates = rates_for_size(table, prompt)
    kinds = [
        *_prompt_kinds(prompt, _mapping(counts, "prompt_tokens_details")),
        *_completion_kinds(counts),
        *_compaction_kinds(reported),
    ]
    total: Decimal = rates.get("REQUEST", ZERO)
    for name, count in kinds:
        amount = _tokens_cost(rates, name, count) if count else ZERO
        if amount is None:
            return None
        total = EXACT.add(total, amount)
    searches_cost = EXACT.multiply(rates.get("WEB_SEARCH", ZERO), _search_count(reported))
    return round_cost(EXACT.add(total, searches_cost))


def _tokens_cost(rates: Table, name: str, count: int) -> Decimal | None:
    """USD for so many tokens of a kind."""
    amount = rate_for(rates, name)
    return None if amount is None else EXACT.multiply(amount, count).scaleb(-6, EXACT)


def rates_for_size(table: Table, prompt_tokens: int) -> Table:
    """The amounts for a request of this size.

    The members of the highest step that it exceeds replace the base ones.
    """
    for threshold, members in table.get(ABOVE, {}).items():
        if prompt_tokens > threshold:
            return {**table, **members}
    return table


def rate_for(table: Table, name: str) -> Decimal | None:
    """USD per million tokens of a kind: its own member of the table, or a substitute."""
    for member in (name, *SUBSTITUTES.get(name, ())):
        if member in table:
            amount: Decimal = table[member]
            return amount
    return ZERO if not table.keys() & {"INPUT", "OUTPUT"} else None


def round_cost(amount: Decimal) -> Decimal:
    if count_decimals(amount) <= COST_DECIMALS:
        return amount
    return amount.quantize(LAST_DIGIT, context=EXACT)


def _billed_counts(billed: Mapping[str, Any]) -> Json:
    """Cohere's `billed_units` under our names. Its other counts do not divide these."""
    return {
        "prompt_tokens": billed.get("input_tokens"),
        "completion_tokens": billed.get("output_tokens"),
    }


def _prompt_kinds(prompt: int, details: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The prompt's tokens by kind, each token in one.

    INPUT, the rest, is never negative, even if the details exceed the prompt.
    """
    cached, written, audio, image = (
        token_count(details.get(f"{name}_tokens"))
        for name in ("cached", "cache_write", "audio", "image")
    )
    hour = token_count(details.get("cache_write_1h_tokens"))
    excess = cached + max(written, hour) + audio + image - prompt
    cached_audio = _overlap(details.get("cached_audio_tokens"), cached, audio, excess)
    cached_image = _overlap(
        details.get("cached_image_tokens"), cached - cached_audio, image, excess - cached_audio
    )
    kinds = (
        ("CACHED", _rest(cached, cached_audio, cached_image)),
        ("CACHED_AUDIO", cached_audio),
        ("CACHED_IMAGE", cached_image),
        ("CACHE_WRITE", _rest(written, hour)),
        ("CACHE_WRITE_1H", hour),
        ("INPUT_AUDIO", _rest(audio, cached_audio)),
        ("INPUT_IMAGE", _rest(image, cached_image)),
    )
    yield "INPUT", _rest(prompt, *(count for _, count in kinds))
    yield from kinds


def _completion_kinds(counts: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    details = _mapping(counts, "completion_tokens_details")
    members = (
        ("REASONING", "reasoning_tokens"),
        ("OUTPUT_AUDIO", "audio_tokens"),
        ("OUTPUT_IMAGE", "image_tokens"),
    )
    kinds = [(name, token_count(details.get(member))) for name, member in members]
    completion = token_count(counts.get("completion_tokens"))
    yield "OUTPUT", _rest(completion, *(count for _, count in kinds))
    yield from kinds


def _compaction_kinds(reported: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Anthropic's compactions: runs of the same model that no other count contains."""
    iterations = reported.get("iterations")
    for run in iterations if isinstance(iterations, list) else ():
        if isinstance(run, dict) and run.get("type") == "compaction":
            hour = token_count(_mapping(run, "cache_creation").get("ephemeral_1h_input_tokens"))
            yield "INPUT", token_count(run.get("input_tokens"))
            yield "CACHED", token_count(run.get("cache_read_input_tokens"))
            yield "CACHE_WRITE", _rest(token_count(run.get("cache_creation_input_tokens")), hour)
            yield "CACHE_WRITE_1H", hour
            yield "OUTPUT", token_count(run.get("output_tokens"))


def _overlap(reported: Any, first: int, second: int, excess: int) -> int:
    """The tokens that are of both kinds.

    As reported, else as many as the kinds exceed the whole by.
    """
    if reported is not None:
        return token_count(reported)
    return max(0, min(first, second, excess))


def _search_count(reported: Mapping[str, Any]) -> int:
    """Web searches by the provider's own tool: Anthropic's count, or Perplexity's."""
    anthropic = _mapping(reported, "server_tool_use").get("web_search_requests")
    return token_count(anthropic) or token_count(reported.get("num_search_queries"))


def _mapping(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, Mapping) else {}


def token_count(value: Any) -> int:
    """A count that a provider sent; 0 if it is not a sensible number."""
    return int(value) if isinstance(value, int | float) and 0 <= value < MAX_TOKENS else 0


def _rest(whole: int, *parts: int) -> int:
    return max(0, whole - sum(parts))


# --- before the call -----------------------------------------------------------------------------


def max_cost(table: Table, prompt_tokens: int, completion_tokens: int) -> Decimal | None:
    """The maximum cost of a text call in USD, or None if a price is not known.

    The dearer case counts on each side: the prompt is written to a cache, or the whole completion
    is reasoning.
    """
    rates = rates_for_size(table, prompt_tokens)
    total = rates.get("REQUEST", ZERO)
    sides = (
        (("INPUT", "CACHE_WRITE"), prompt_tokens),
        (("OUTPUT", "REASONING"), completion_tokens),
    )
    for names, count in sides:
        amounts = [amount for name in names if (amount := rate_for(rates, name)) is not None]
        if count and not amounts:
            return None
        amount = EXACT.multiply(max(amounts, default=ZERO), min(count, MAX_TOKENS))
        total = EXACT.add(total, amount.scaleb(-6, EXACT))
    return round_cost(total)


def blended_price(table: Table) -> Decimal | None:
    """One price for comparing tables, in USD per million tokens; None without token prices."""
    input_price, output_price = table.get("INPUT"), table.get("OUTPUT")
    if input_price is None or output_price is None:
        only: Decimal | None = output_price if input_price is None else input_price
        return only
    blended: Decimal = input_price * INPUT_SHARE + output_price * (1 - INPUT_SHARE)
    return blended
