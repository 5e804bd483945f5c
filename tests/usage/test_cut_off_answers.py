"""The record of an answer that is cut off contains at least what was produced until then.

For every wire, wherever the answer is cut.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError, UpstreamTimeout
from native_api.gateway.call_record import CallRecord
from native_api.types import Caller, Event, Json, Usage
from native_api.upstream.decoders import DECODERS
from native_api.usage.entry import UsageEntry
from native_api.usage.tokens import prompt_tokens, text_tokens
from tests.cases import for_each
from tests.dialects.stream_folding import fold
from tests.recorded_cases import build_target, read_stream, with_streams
from tests.usage.usage_factory import make_target, make_usage

STREAMS = with_streams("expected")


def first_stream() -> Any:
    return next(case for _, case in STREAMS())


CHAT: Any = {
    "model": "m",
    "stream": True,
    "messages": [{"role": "user", "content": "Hello there, how are you?"}],
}
GPT = make_target("openai", "gpt-4o")


class Reading:
    """A stream as the gateway reads it: the chunks of each event are passed to the record."""

    def __init__(self, case: Any) -> None:
        self.parser = DIALECTS[case["provider"]["dialect"]].stream(build_target(case))
        self.chunks: list[Any] = []
        self.waiting: list[Json] = []
        self.call_record = CallRecord(CHAT, Caller(), "r")
        self.call_record.attempts.target = GPT
        self.call_record.upstream = self
        self.call_record.on_first_token()

    @property
    def usage(self) -> Usage | None:
        return self.parser.usage

    def unread_deltas(self) -> list[Json]:
        return [*self.waiting, self.parser.pending_delta()]

    def read(self, events: Iterable[Event]) -> None:
        for event in events:
            batch = list(self.parser.feed(event))
            self.chunks += batch
            if batch:
                self.call_record.on_chunks(batch, self.usage)

    def has_finished(self) -> bool:
        return any(choice["finish_reason"] for chunk in self.chunks for choice in chunk["choices"])


def events_of(case: Any) -> list[Event]:
    decoder = DECODERS[DIALECTS[case["provider"]["dialect"]].framing]()
    return [*decoder.feed(read_stream(case)), *decoder.close()]


def count_words(chunks: list[Any]) -> int:
    """The tokens of the text, reasoning and arguments in the chunks, counted independently."""
    texts = []
    for choice in fold(chunks):
        message = choice["message"]
        texts += [message.get(name) or "" for name in ("content", "reasoning_content", "refusal")]
        calls = [call.get("function") or call["custom"] for call in message.get("tool_calls") or ()]
        texts += [call.get("arguments") or call.get("input") or "" for call in calls]
    return text_tokens("".join(texts))


@for_each(STREAMS)
def test_a_client_that_disconnects_pays_for_what_was_produced(
    case: Any, records: list[UsageEntry]
) -> None:
    events, before = events_of(case), 0
    for cut in range(len(events) + 1):
        reading = Reading(case)
        reading.read(events[:cut])
        reported, finished = reading.usage or make_usage(), reading.has_finished()
        reading.call_record.on_client_disconnect()
        entry = records.pop()
        assert entry.status == "client_closed"
        assert entry.total_tokens >= entry.prompt_tokens + entry.completion_tokens
        assert entry.prompt_tokens == (reported["prompt_tokens"] or prompt_tokens(CHAT))
        if finished and reported["completion_tokens"]:
            assert entry.completion_tokens == reported["completion_tokens"]
            continue
        assert entry.completion_tokens >= max(
            reported["completion_tokens"], count_words(reading.chunks), before
        )
        assert entry.estimated == (
            (entry.prompt_tokens, entry.completion_tokens)
            != (reported["prompt_tokens"], reported["completion_tokens"])
        )
        before = entry.completion_tokens


def disconnect(call_record: CallRecord) -> None:
    call_record.on_client_disconnect()


def fail_with(error: BaseException) -> Callable[[CallRecord], None]:
    def end(call_record: CallRecord) -> None:
        with pytest.raises(type(error)), call_record:
            raise error

    return end


ENDS = {
    "the client disconnects": disconnect,
    "the generator is closed": fail_with(GeneratorExit()),
    "the task is cancelled": fail_with(asyncio.CancelledError()),
    "the provider breaks off": fail_with(UpstreamError("It broke off.")),
    "the provider is too slow": fail_with(UpstreamTimeout()),
    "a bug of ours": fail_with(RuntimeError("?")),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("reported", [None, make_usage(0, 0), make_usage(9, 1), make_usage(9, 400)])
def test_the_larger_count_is_charged_for_every_kind_of_end(
    end: Callable[[CallRecord], None], reported: Usage | None, records: Any
) -> None:
    reading = Reading(first_stream())
    reading.parser.usage = reported
    reading.call_record.on_chunks([chunk({"content": "word " * 1600})], reported)
    end(reading.call_record)
    [entry] = records
    assert (entry.completion_tokens, entry.estimated) == (2000, True)
    assert entry.prompt_tokens == (
        (reported or make_usage())["prompt_tokens"] or prompt_tokens(CHAT)
    )
    assert entry.total_tokens == entry.prompt_tokens + 2000
    assert entry.cost == Decimal("0.0000025") * entry.prompt_tokens + Decimal("0.00001") * 2000


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_larger_count_of_the_provider_is_not_an_estimate(
    end: Callable[[CallRecord], None], records: list[UsageEntry]
) -> None:
    reading = Reading(first_stream())
    reading.parser.usage = make_usage(9, 3000)
    reading.call_record.on_chunks([chunk({"content": "word " * 1600})], None)
    end(reading.call_record)
    assert [
        (entry.prompt_tokens, entry.completion_tokens, entry.estimated) for entry in records
    ] == [(9, 3000, False)]


def test_chunks_that_were_read_but_not_sent_count(records: list[UsageEntry]) -> None:
    reading = Reading(first_stream())
    reading.waiting = [{"content": "word " * 800}, {"reasoning_content": "word " * 800}]
    reading.call_record.on_client_disconnect()
    assert [entry.completion_tokens for entry in records] == [2000]


def test_the_tokens_of_the_sent_body_are_the_prompt_if_known(records: list[UsageEntry]) -> None:
    reading = Reading(first_stream())
    reading.call_record.attempts.sent_tokens = 400_000
    reading.call_record.on_client_disconnect()
    assert [(entry.prompt_tokens, entry.estimated) for entry in records] == [(400_000, True)]


def test_all_choices_count(records: list[UsageEntry]) -> None:
    reading = Reading(first_stream())
    for index in (0, 1, 2):
        reading.call_record.on_chunks([chunk({"content": "word " * 80}, index)], None)
    reading.call_record.on_client_disconnect()
    assert [entry.completion_tokens for entry in records] == [300]


def test_a_hedged_answer_that_lost_is_charged_for_what_it_produced(
    records: list[UsageEntry],
) -> None:
    call_record = CallRecord(CHAT, Caller(), "r")
    call_record.attempts.target = GPT
    call_record.attempts.hedged += [
        (GPT, make_usage(9, 1), {"content": "word " * 80}),
        (GPT, None, {"content": "word " * 160}),
    ]
    with call_record:
        call_record.on_usage(make_usage(9, 3))
    winner, with_usage, without_usage = records
    assert (winner.completion_tokens, winner.estimated) == (3, False)
    assert (with_usage.prompt_tokens, with_usage.completion_tokens, with_usage.estimated) == (
        9,
        100,
        True,
    )
    assert (
        without_usage.prompt_tokens,
        without_usage.completion_tokens,
        without_usage.estimated,
    ) == (
        prompt_tokens(CHAT),
        200,
        True,
    )


def chunk(delta: Json, index: int = 0) -> Any:
    return {
        "id": "",
        "object": "chat.completion.chunk",
        "choices": [{"index": index, "delta": delta, "finish_reason": None}],
    }


# --- what is in no chunk yet ---------------------------------------------------------------------


QUERY = '{"query": "' + "weather in Oslo " * 20 + '"}'
CODE = "print('hello')\n" * 20
PENDING_EVENTS: dict[str, list[tuple[str, Json]]] = {
    "anthropic": [
        ("", {"type": "message_start", "message": {"id": "m", "model": "m"}}),
        (
            "",
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "server_tool_use", "name": "web_search", "input": {}},
            },
        ),
        (
            "",
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": QUERY},
            },
        ),
    ],
    "bedrock": [
        (
            "contentBlockStart",
            {
                "contentBlockIndex": 0,
                "start": {"toolUse": {"name": "nova_grounding", "type": "server_tool_use"}},
            },
        ),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": QUERY}}}),
    ],
    "cohere": [
        (
            "",
            {
                "type": "content-start",
                "index": 0,
                "delta": {"message": {"content": {"type": "document", "words": ""}}},
            },
        ),
        (
            "",
            {
                "type": "content-delta",
                "index": 0,
                "delta": {"message": {"content": {"words": QUERY}}},
            },
        ),
    ],
    "gemini": [
        (
            "",
            {
                "candidates": [
                    {
                        "content": {
                            "parts": [{"functionCall": {"name": "search", "willContinue": True}}]
                        }
                    }
                ]
            },
        ),
        (
            "",
            {
                "candidates": [
                    {
                        "content": {
                            "parts": [
                                {
                                    "functionCall": {
                                        "partialArgs": [
                                            {"jsonPath": "$.query", "stringValue": QUERY}
                                        ],
                                        "willContinue": True,
                                    }
                                }
                            ]
                        }
                    }
                ]
            },
        ),
    ],
    "openai": [
        ("", {"id": "c", "choices": [{"index": 0, "delta": {"content": "", "own_words": QUERY}}]})
    ],
    "openai_responses": [
        (
            "",
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {"id": "ci", "type": "code_interpreter_call"},
            },
        ),
        (
            "",
            {
                "type": "response.code_interpreter_call_code.delta",
                "output_index": 0,
                "item_id": "ci",
                "delta": CODE,
            },
        ),
    ],
}


@pytest.mark.parametrize("name", PENDING_EVENTS)
def test_blocks_that_a_parser_has_not_completed_count(name: str, records: list[UsageEntry]) -> None:
    """Blocks that are in a chunk only when complete, such as calls of a provider's own tools."""
    reading = Reading(
        {"provider": {"dialect": name, "base_url": "https://api.example/v1"}, "model": "m"}
    )
    reading.read(Event(kind, json.dumps(data)) for kind, data in PENDING_EVENTS[name])
    assert count_words(reading.chunks) < 10
    reading.call_record.on_client_disconnect()
    [entry] = records
    assert entry.completion_tokens >= 70
