"""Shows what translation costs on one core: a request of 100 messages with tools, and a piece of a
stream, for every dialect.

    python -m benchmarks.translation [--seconds 0.5]

Beside each figure stands the same data's way through orjson and back, measured in the same run:
what no translation at all would cost. Streams are those of tests/recordings, bytes in, unified
chunks out; the slowest recording counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from native_api.dialects import DIALECTS
from native_api.types import ChatRequest, Event, Provider, Target
from native_api.upstream.decoders import DECODERS
from tests.recorded_cases import FOLDER, build_target, read_stream
from tests.scripted_provider import HELLO

REQUEST_LIMIT = 1000.0
CHUNK_LIMIT = 30.0
"""Microseconds."""

MESSAGES = 100
TOOLS = 8
CLOSELY = 3
"""How many streams, the slowest at a glance, are measured for the full time."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds, and the same data's way through orjson and back."""

    microseconds: float
    yardstick: float

    @property
    def ratio(self) -> float:
        return self.microseconds / self.yardstick


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=0.5, help="for each figure")
    seconds = arguments.parse_args().seconds
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    head = f"{'dialect':18}{'request µs':>12}{'orjson µs':>11}{'ratio':>7}   {'chunk µs':>9}{'orjson µs':>11}{'ratio':>7}   slowest stream"
    print(head)
    missed = [name for name in DIALECTS if not row(name, seconds)]
    print(f"{'limit':18}{REQUEST_LIMIT:>12.0f}{'':18}   {CHUNK_LIMIT:>9.0f}", flush=True)
    if missed:
        sys.exit(f"over the limit: {', '.join(missed)}")


def row(name: str, seconds: float) -> bool:
    """Print a dialect's row; whether it keeps the limits."""
    request = request_cost(name, seconds)
    chunk, slowest = chunk_cost(name, seconds)
    of_request = f"{request.microseconds:>12.1f}{request.yardstick:>11.1f}{request.ratio:>7.1f}"
    print(
        f"{name:18}{of_request}   {chunk.microseconds:>9.2f}{chunk.yardstick:>11.2f}{chunk.ratio:>7.1f}   {slowest}"
    )
    return request.microseconds < REQUEST_LIMIT and chunk.microseconds < CHUNK_LIMIT


# --- requests ------------------------------------------------------------------------------------


def request_cost(name: str, seconds: float) -> Cost:
    dialect, target, chat = DIALECTS[name], target_for(name), conversation()
    return Cost(
        best(lambda: dialect.request(chat, target), seconds),
        best(lambda: orjson.loads(orjson.dumps(chat)), seconds),
    )


def conversation() -> ChatRequest:
    """Rounds of a question, two calls at once, their results and an answer, after one system
    message."""
    messages: list[Any] = [{"role": "system", "content": "You are a patient assistant. " * 10}]
    number = 0
    while len(messages) < MESSAGES:
        calls = [call(number), call(number + 1)]
        results = [
            {
                "role": "tool",
                "tool_call_id": one["id"],
                "content": '{"sky": "rain", "degrees": 7}' * 5,
            }
            for one in calls
        ]
        question = {
            "role": "user",
            "content": [{"type": "text", "text": "What is the weather in these two cities? " * 5}],
        }
        asked = {"role": "assistant", "content": None, "tool_calls": calls}
        messages += [
            question,
            asked,
            *results,
            {"role": "assistant", "content": "It rains in both of them. " * 20},
        ]
        number += 2
    messages[MESSAGES - 1 :] = [{"role": "user", "content": "And tomorrow?"}]
    return {
        "model": "m",
        "messages": messages,
        "tools": [tool(position) for position in range(TOOLS)],
        "max_tokens": 500,
        "temperature": 0.2,
    }


def call(number: int) -> dict[str, Any]:
    arguments = json.dumps({"city": f"City {number}", "days": [1, 2, 3]})
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": f"weather_{number % TOOLS}", "arguments": arguments},
    }


def tool(number: int) -> dict[str, Any]:
    days = {"type": "array", "items": {"type": "integer"}, "description": "The days from now."}
    city = {"type": "string", "description": "The city's name in English."}
    schema = {"type": "object", "properties": {"city": city, "days": days}, "required": ["city"]}
    return {
        "type": "function",
        "function": {
            "name": f"weather_{number}",
            "description": "The weather in a city.",
            "parameters": schema,
        },
    }


# --- streams -------------------------------------------------------------------------------------


def chunk_cost(name: str, seconds: float) -> tuple[Cost, str]:
    """The cost of a chunk in the slowest of the dialect's recorded streams, and that stream's
    name."""
    streams = {
        case_name: read_stream(case)
        for case_name, case in cases(name).items()
        if "expected" in case and read_stream(case)
    }
    if name == "openai" and not streams:
        streams = {"hello": b"".join(HELLO)}
    target = target_for(name)
    glances = {
        case_name: replay(name, target, raw, seconds / 20).microseconds
        for case_name, raw in streams.items()
    }
    slow = sorted(glances, key=lambda case_name: glances[case_name])[-CLOSELY:]
    costs = {case_name: replay(name, target, streams[case_name], seconds) for case_name in slow}
    slowest = max(costs, key=lambda case_name: costs[case_name].microseconds)
    return costs[slowest], slowest


def replay(name: str, target: Target, raw: bytes, seconds: float) -> Cost:
    dialect = DIALECTS[name]

    def translate() -> None:
        decoder, parser = DECODERS[dialect.framing](), dialect.stream(target)
        for event in (*decoder.feed(raw), *decoder.close()):
            parser.feed(event)
        parser.close()

    decoder = DECODERS[dialect.framing]()
    texts = [event.data for event in (*decoder.feed(raw), *decoder.close()) if is_json(event)]
    yardstick = best(lambda: [orjson.dumps(orjson.loads(text)) for text in texts], seconds)
    return Cost(best(translate, seconds) / len(texts), yardstick / len(texts))


def is_json(event: Event) -> bool:
    return event.data.lstrip()[:1] == "{"


# --- shared --------------------------------------------------------------------------------------


def cases(name: str) -> dict[str, Any]:
    return {
        path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob(f"{name}/*.json"))
    }


def target_for(name: str) -> Target:
    """The provider and model that the dialect's recordings use most."""
    targets = [build_target(case) for case in cases(name).values() if "request" in case]
    if not targets:
        return Target(Provider("p", name, "https://api.example/v1"), "m")
    models = [target.model for target in targets]
    return max(targets, key=lambda target: models.count(target.model))


def best(work: Callable[[], object], seconds: float) -> float:
    """Microseconds of processor time that one call takes when nothing disturbs it: the least mean
    of many short batches."""
    work()
    started = time.thread_time()
    work()
    batch = max(1, int(0.002 / max(time.thread_time() - started, 1e-7)))
    end, least = time.perf_counter() + seconds, float("inf")
    while True:
        started = time.thread_time()
        for _ in range(batch):
            work()
        least = min(least, (time.thread_time() - started) / batch)
        if time.perf_counter() > end:
            return least * 1e6


if __name__ == "__main__":
    main()
