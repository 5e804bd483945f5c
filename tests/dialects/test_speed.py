"""Translation stays cheap: so many calls of functions for each message and each event, however many
there are. `benchmarks.translation` measures the time."""

from __future__ import annotations

import pytest

from benchmarks.translation import cases, conversation, target_for
from native_api.dialects import DIALECTS
from native_api.types import Target
from native_api.upstream.decoders import DECODERS
from tests.dialects.work_counter import count_calls
from tests.recorded_cases import read_stream


@pytest.mark.parametrize("name", DIALECTS)
def test_a_request_of_a_hundred_messages(name: str) -> None:
    dialect, target, chat = DIALECTS[name], target_for(name), conversation()
    dialect.request(chat, target)  # what is made once and remembered
    calls = count_calls(lambda: dialect.request(chat, target))
    assert calls / len(chat["messages"]) < 80  # 42 to 71


@pytest.mark.parametrize("name", DIALECTS)
def test_twice_the_messages_are_twice_the_work(name: str) -> None:
    dialect, target, chat = DIALECTS[name], target_for(name), conversation()
    double = {**chat, "messages": chat["messages"] * 2}
    dialect.request(double, target)  # type: ignore[arg-type]
    calls = count_calls(lambda: dialect.request(chat, target))
    assert count_calls(lambda: dialect.request(double, target)) < 2.1 * calls  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DIALECTS)
def test_an_event_of_a_stream(name: str) -> None:
    streams = [read_stream(case) for case in cases(name).values() if "expected" in case]
    for raw in filter(None, streams):
        assert calls_per_event(name, target_for(name), raw) < 200  # 20 to 133


def calls_per_event(name: str, target: Target, raw: bytes) -> float:
    dialect = DIALECTS[name]
    decoder = DECODERS[dialect.framing]()
    events = [*decoder.feed(raw), *decoder.close()]

    def translate() -> None:
        parser = dialect.stream(target)
        for event in events:
            parser.feed(event)
        parser.close()

    return count_calls(translate) / len(events)
