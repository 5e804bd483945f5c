"""Replies of OpenAI's family in which one member is missing or null: they become an answer or the
provider's error, never a failure of the gateway."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Event
from native_api.upstream.decoders import sse
from tests.cases import Cases, for_each
from tests.recorded_cases import build_target, recorded_cases

WIRES = ("openai", "openai_responses")


def cases_of_wires(*needed: str) -> Callable[[], Cases]:
    return lambda: (
        (name, case)
        for name, case in recorded_cases(*needed)
        if case["provider"]["dialect"] in WIRES
    )


def iterate_gaps(value: Any) -> Iterator[Any]:
    """Copies of `value` in which one member is null or missing, for each member."""
    for path in list(iterate_paths(value)):
        for is_null in (True, False):
            copy = json.loads(json.dumps(value))
            holder = copy
            for step in path[:-1]:
                holder = holder[step]
            if is_null:
                holder[path[-1]] = None
            else:
                del holder[path[-1]]
            yield copy


def iterate_paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for step, item in members:
        yield (*path, step)
        yield from iterate_paths(item, (*path, step))


@for_each(cases_of_wires("reply"))
def test_a_complete_reply_with_a_missing_member(case: dict[str, Any]) -> None:
    dialect, target = DIALECTS[case["provider"]["dialect"]], build_target(case)
    for reply in iterate_gaps(case["reply"]):
        with contextlib.suppress(UpstreamError):
            [choice, *_] = dialect.response(reply, target)["choices"]
            assert choice["finish_reason"]
            assert choice["message"]["role"] == "assistant"


@for_each(cases_of_wires("stream"))
def test_a_stream_with_a_missing_member(case: dict[str, Any]) -> None:
    decoder = sse.SSEDecoder()
    events = [*decoder.feed(case["stream"].encode()), *decoder.close()]
    for index, event in enumerate(events):
        value = json.loads(event.data) if event.data.startswith("{") else {}
        for changed in iterate_gaps(value):
            replayed = [
                *events[:index],
                Event(event.type, json.dumps(changed)),
                *events[index + 1 :],
            ]
            with contextlib.suppress(UpstreamError):
                check_stream(case, replayed)


def check_stream(case: dict[str, Any], events: list[Event]) -> None:
    parser = DIALECTS[case["provider"]["dialect"]].stream(build_target(case))
    chunks = [chunk for event in events for chunk in parser.feed(event)] + list(parser.close())
    reasons = [
        choice["finish_reason"]
        for chunk in chunks
        for choice in chunk["choices"]
        if choice["index"] == 0
    ]
    assert [bool(reason) for reason in reasons].count(True) <= 1
