"""The names of rate-limit headers, in the words of each API."""

from __future__ import annotations

from datetime import UTC, datetime

from native_api.inbound.anthropic import MessagesFormat
from native_api.limits.headers import LimitStatus, merge_headers, rate_limit_headers
from native_api.limits.rules import AppliedRule, Rule

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def limit(metric: str, amount: int, level: int) -> LimitStatus:
    rule = Rule("everyone", None, False, metric, "minute", "*", amount, 0, "everyone")
    return LimitStatus(AppliedRule(rule, "c"), amount, level, 1, NOW, 30.0)


LIMITS = [
    limit("requests", 60, 20),
    limit("tokens", 1000, 100),
    limit("input_tokens", 800, 300),
    limit("output_tokens", 200, 0),
]


def test_limits_on_input_and_output_count_as_tokens_and_by_themselves() -> None:
    headers = rate_limit_headers(LIMITS)
    remaining = {
        name.removeprefix("x-ratelimit-remaining-"): value
        for name, value in headers.items()
        if "remaining" in name
    }
    assert remaining == {
        "requests": "40",
        "tokens": "200",
        "input-tokens": "500",
        "output-tokens": "200",
    }


def test_a_limit_on_all_tokens_is_none_on_input() -> None:
    assert "x-ratelimit-limit-input-tokens" not in rate_limit_headers(LIMITS[:2])


def test_anthropic_names_all_four_kinds() -> None:
    named = MessagesFormat().headers(rate_limit_headers(LIMITS), NOW)
    assert named == {
        f"anthropic-ratelimit-{kind}-{part}": value
        for kind, limit_and_rest in {
            "requests": ("60", "40"),
            "tokens": ("200", "200"),
            "input-tokens": ("800", "500"),
            "output-tokens": ("200", "200"),
        }.items()
        for part, value in zip(
            ("limit", "remaining", "reset"),
            (*limit_and_rest, "2026-11-30T12:00:30Z"),
            strict=True,
        )
    }


def test_the_tighter_headers_of_each_kind_are_kept() -> None:
    tight, wide = (rate_limit_headers([limit("input_tokens", 100, level)]) for level in (90, 10))
    assert merge_headers(tight, wide) == merge_headers(wide, tight) == tight
