"""The usage of a parser during a stream: the last report, but zeros never lower a count."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.dialects.shared.token_counts import join_counts, join_usage, read_count
from native_api.types import Event, Provider, Target
from native_api.upstream.decoders import DECODERS
from tests.aws_eventstream_writer import wrap_event
from tests.cases import for_each
from tests.recorded_cases import build_target, read_stream, with_members, with_streams
from tests.usage.usage_factory import make_usage

STREAMS = with_streams("expected")
REPLIES = with_members("reply", "expected")
COUNTED = ("usage", "usageMetadata", "eval_count", "prompt_eval_count")

ANTHROPIC = {
    "usage": {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    },
}
OPENAI = {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}
ZEROS: dict[str, tuple[str, Any]] = {
    "anthropic": ("message_delta", {"type": "message_delta", "delta": {}, **ANTHROPIC}),
    "anthropic_vertex": ("message_delta", {"type": "message_delta", "delta": {}, **ANTHROPIC}),
    "anthropic_bedrock": ("chunk", wrap_event({"type": "message_delta", "delta": {}, **ANTHROPIC})),
    "bedrock": (
        "metadata",
        {
            "usage": {
                "inputTokens": 0,
                "outputTokens": 0,
                "totalTokens": 0,
                "cacheReadInputTokens": 0,
            }
        },
    ),
    "cohere": (
        "message-end",
        {
            "type": "message-end",
            "delta": {"usage": {"tokens": {"input_tokens": 0, "output_tokens": 0}}},
        },
    ),
    "gemini": (
        "",
        {
            "candidates": [],
            "usageMetadata": {
                "promptTokenCount": 0,
                "candidatesTokenCount": 0,
                "totalTokenCount": 0,
            },
        },
    ),
    "ollama": (
        "",
        {"message": {"content": ""}, "done": False, "prompt_eval_count": 0, "eval_count": 0},
    ),
    "openai": ("", {"id": "", "choices": [], **OPENAI}),
    "openai_responses": (
        "",
        {
            "type": "response.completed",
            "response": {"usage": {"input_tokens": 0, "output_tokens": 0}},
        },
    ),
}
"""An event with only zeros, as proxies and servers send them."""


def parse_events(case: Any) -> list[Event]:
    decoder = DECODERS[DIALECTS[case["provider"]["dialect"]].framing]()
    return [*decoder.feed(read_stream(case)), *decoder.close()]


def usage_after_each_event(case: Any, events: list[Event]) -> list[Any]:
    """The parser's usage after each event."""
    parser = DIALECTS[case["provider"]["dialect"]].stream(build_target(case))
    return [(list(parser.feed(event)), parser.usage)[1] for event in events]


def replace_counts_by_zeros(value: Any, inside: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            name: replace_counts_by_zeros(item, inside or name in COUNTED)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [replace_counts_by_zeros(item, inside) for item in value]
    return 0 if inside and isinstance(value, int | float) and not isinstance(value, bool) else value


def repeat_with_zeros(events: list[Event]) -> Iterator[Event]:
    """The events; each that reports usage is followed by a copy with only zeros."""
    for event in events:
        yield event
        data = json.loads(event.data) if event.data.startswith("{") else {}
        zeros = replace_counts_by_zeros(data)
        if zeros != data:
            yield event._replace(data=json.dumps(zeros))


@for_each(STREAMS)
def test_zeros_never_lower_a_count(case: Any) -> None:
    events = parse_events(case)
    assert (
        usage_after_each_event(case, list(repeat_with_zeros(events)))[-1]
        == usage_after_each_event(case, events)[-1]
    )


@for_each(STREAMS)
def test_an_event_of_zeros_changes_nothing(case: Any) -> None:
    kind, zeros = ZEROS[case["provider"]["dialect"]]
    events, parser = (
        parse_events(case),
        DIALECTS[case["provider"]["dialect"]].stream(build_target(case)),
    )
    for event in events:
        list(parser.feed(event))
        if parser.usage is not None:
            before = dict(parser.usage)
            list(parser.feed(Event(kind, json.dumps(zeros))))
            assert {name: parser.usage[name] for name in before} == before  # type: ignore[literal-required]


@for_each(STREAMS)
def test_output_counts_never_decrease(case: Any) -> None:
    counts = [
        usage["completion_tokens"]
        for usage in usage_after_each_event(case, parse_events(case))
        if usage
    ]
    assert counts == sorted(counts)


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_is_tested_with_zeros(name: str) -> None:
    assert name in ZEROS
    assert any(case["provider"]["dialect"] == name for _, case in STREAMS())


# --- single wires --------------------------------------------------------------------------------


def last_usage(dialect: str, *events: Any) -> Any:
    parser = DIALECTS[dialect].stream(Target(Provider("p", dialect, "https://api.example/v1"), "m"))
    for one in events:
        list(parser.feed(Event("", json.dumps(one))))
    return parser.usage


def start_event(**usage: Any) -> Any:
    return {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": usage}}


def end_events(**usage: Any) -> Any:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


AT_FIRST = {
    "input_tokens": 9,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 2,
    "output_tokens": 1,
}


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (
            {
                "input_tokens": 0,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 0,
                "output_tokens": 16,
            },
            (16, 16, 5),
        ),
        (
            {
                "input_tokens": 9,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 0,
                "output_tokens": 16,
            },
            (16, 16, 5),
        ),
        (
            {
                "input_tokens": 700,
                "cache_read_input_tokens": 5,
                "cache_creation_input_tokens": 2,
                "output_tokens": 16,
            },
            (707, 16, 5),
        ),
        ({"output_tokens": 16}, (16, 16, 5)),
        ({"input_tokens": None, "output_tokens": 0}, (16, 1, 5)),
        ({"input_tokens": -3, "output_tokens": "16"}, (16, 1, 5)),
        ({"input_tokens": 10**30, "output_tokens": 1e300}, (16, 1, 5)),
        ({}, (16, 1, 5)),
    ],
)
@pytest.mark.parametrize("dialect", ["anthropic", "anthropic_vertex"])
def test_anthropics_first_counts_stay_until_others_are_reported(
    dialect: str, later: Any, expected: tuple[int, int, int]
) -> None:
    usage = last_usage(dialect, start_event(**AT_FIRST), end_events(**later))
    assert (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
    ) == expected
    assert usage["total_tokens"] == sum(expected[:2])


def test_after_a_compaction_the_counts_of_the_last_run_replace_those_of_the_first() -> None:
    """As Anthropic reported it in 2026-02: `iterations` has the first run's counts, and prices."""
    first = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 55096,
    }
    last = {
        "input_tokens": 181,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 8,
    }
    runs = [{**first, "output_tokens": 83, "type": "compaction"}, {**last, "type": "message"}]
    usage = last_usage(
        "anthropic", start_event(**first, output_tokens=7), end_events(**last, iterations=runs)
    )
    assert (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
    ) == (181, 8, 0)
    assert usage["iterations"] == runs


def test_gemini_may_correct_its_count_of_the_prompt() -> None:
    """As recorded from Gemini 2.0 Flash."""
    first = {"usageMetadata": {"promptTokenCount": 169, "totalTokenCount": 169}}
    last = {
        "usageMetadata": {"promptTokenCount": 79, "candidatesTokenCount": 12, "totalTokenCount": 91}
    }
    usage = last_usage("gemini", first, last)
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (
        79,
        12,
        91,
    )


def test_an_image_that_gemini_counted_stays_counted() -> None:
    details = [{"modality": "IMAGE", "tokenCount": 1290}]
    counts = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 1290,
        "totalTokenCount": 1299,
        "candidatesTokensDetails": details,
    }
    usage = last_usage(
        "gemini",
        {"usageMetadata": counts},
        {"usageMetadata": replace_counts_by_zeros(counts, inside=True)},
    )
    assert usage["completion_tokens_details"] == {"image_tokens": 1290}


def test_usage_in_groqs_own_member_replaces_zeros_in_the_usual_one() -> None:
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    groq = {"usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}}
    usage = last_usage("openai", {"id": "c", "choices": [], "usage": zeros, "x_groq": groq})
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (9, 3, 12)


def test_coheres_billed_units_replace_zero_tokens() -> None:
    usage = {
        "tokens": {"input_tokens": 0, "output_tokens": 0},
        "billed_units": {"input_tokens": 5.0, "output_tokens": 7.0},
    }
    unified = last_usage(
        "cohere", {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}}
    )
    counts = (unified["prompt_tokens"], unified["completion_tokens"], unified["total_tokens"])
    assert counts == (5, 7, 12)


@pytest.mark.parametrize(
    "nonsense", [-1, "12", 2.0**60, 10**40, float("inf"), float("nan"), True, [5], {"a": 5}, None]
)
@pytest.mark.parametrize("name", DIALECTS)
def test_invalid_counts_are_ignored(name: str, nonsense: Any) -> None:
    """A complete reply stays valid with any usage."""
    for _, recording in REPLIES():
        provider = recording["provider"]
        if provider["dialect"] == name and not provider.get("quirks"):
            body = replace(recording["reply"], nonsense)
            reply = DIALECTS[name].response(body, build_target(recording))
            usage: Any = reply.get("usage") or {}
            assert not any(
                usage.get(count, 0)
                for count in ("prompt_tokens", "completion_tokens", "total_tokens")
            )


def replace(value: Any, number: Any, inside: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            name: replace(item, number, inside or name in COUNTED) for name, item in value.items()
        }
    if isinstance(value, list) and not inside:
        return [replace(item, number) for item in value]
    return number if inside and not isinstance(value, str) else value


# --- the rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, 5), (5.9, 5), (0, 0), (-5, 0), ("5", 0), (True, 0), (None, 0), (2**53, 0), ([5], 0)],
)
def test_a_count_is_a_number_of_at_least_0(value: Any, expected: int) -> None:
    assert read_count({"a": value}, "a") == expected
    assert read_count(value, "a") == 0


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ({"read": 9}, {"read": 4}, {"read": 4}),
        ({"read": 9}, {"read": 0}, {"read": 9}),
        ({"read": 9}, {"read": "x"}, {"read": 9}),
        ({"written": 9}, {"written": 4}, {"written": 9}),
        ({"written": 4}, {"written": 9}, {"written": 9}),
        ({}, {"written": 0}, {"written": 0}),
        ({"read": None}, {"read": 3}, {"read": 3}),
        (
            {"in": {"read": 9, "b": 1}},
            {"in": {"read": 0, "c": 2}},
            {"in": {"read": 9, "b": 1, "c": 2}},
        ),
        ({"in": {"read": 9}}, {"in": None}, {"in": {"read": 9}}),
        ({"in": {"read": 9}}, {"in": 0}, {"in": {"read": 9}}),
        (
            {"all": [{"kind": "x", "n": 3}]},
            {"all": [{"kind": "x", "n": 0}]},
            {"all": [{"kind": "x", "n": 3}]},
        ),
        ({"all": [{"kind": "x", "n": 3}]}, {"all": []}, {"all": [{"kind": "x", "n": 3}]}),
        ({"all": [{"n": 3}]}, {"all": [{"n": 2}, {"n": 9}]}, {"all": [{"n": 2}, {"n": 9}]}),
        ({"tier": "flex"}, {"tier": ""}, {"tier": "flex"}),
        ({"tier": "flex"}, {"tier": "fast"}, {"tier": "fast"}),
    ],
)
def test_counts_are_joined(earlier: Any, later: Any, expected: Any) -> None:
    before = json.dumps([earlier, later])
    assert join_counts(earlier, later, {"written"}) == expected
    assert json.dumps([earlier, later]) == before, "the reports were changed"


def test_a_total_is_at_least_the_sum() -> None:
    assert join_usage(make_usage(10, 51), make_usage(10, 0))["total_tokens"] == 61
    assert join_usage(make_usage(169, 0), make_usage(79, 12))["total_tokens"] == 91
