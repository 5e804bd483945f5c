"""Mutations of every dialect's recordings: members that are dropped, replaced, doubled or moved.

Each mutated reply must become a valid reply or an UpstreamError, each mutated request a body or a
refusal.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from native_api.dialects import DIALECTS
from native_api.dialects.shared.nesting import MAX_DEPTH
from native_api.exceptions import InvalidRequest, UpstreamError
from native_api.inbound.base import to_json
from native_api.inbound.json_body import parse_json
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import Event, Provider, Target
from native_api.upstream.decoders import DECODERS
from tests.cases import for_each
from tests.recorded_cases import build_target, with_members

ROUNDS = 40
STRICT = frozenset({"anthropic", "gemini"})
"""Dialects that build each member of a reply, so that all its types are OpenAI's."""
OTHERS = [
    None,
    0,
    -1,
    1.5,
    10**20,
    True,
    "",
    "x",
    "🙂",
    [],
    [None],
    [[]],
    {},
    {"type": "x"},
    {"text": 3},
]
CHECK = ChatCompletionSerializer()


def iterate_members(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of a value, as its container and its name or index there."""
    names: Any = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for name in list(names):
        yield value, name
        yield from iterate_members(value[name])


def mutate(value: Any, dice: random.Random) -> Any:
    """A copy with one to three members that are dropped, replaced or doubled."""
    mutated = json.loads(json.dumps(value))
    for _ in range(dice.randint(1, 3)):
        members = list(iterate_members(mutated))
        if not members:
            return dice.choice(OTHERS)
        holder, name = dice.choice(members)
        act = dice.randrange(4)
        if act == 0:
            del holder[name]
        elif act == 1 and isinstance(holder, list):
            holder.insert(dice.randrange(len(holder) + 1), holder[name])
        else:
            holder[name] = json.loads(json.dumps(dice.choice(OTHERS)))
    return orjson.loads(json.dumps(mutated))


@for_each(with_members("reply"))
def test_a_mutated_reply_is_a_reply_or_an_upstream_error(case: dict[str, Any]) -> None:
    dice = random.Random(case["source"])
    for _ in range(ROUNDS):
        body = mutate(case["reply"], dice)
        try:
            reply = DIALECTS[case["provider"]["dialect"]].response(
                json.loads(json.dumps(body)), build_target(case)
            )
        except UpstreamError:
            continue
        assert reply["choices"], body
        if case["provider"]["dialect"] in STRICT:
            ChatCompletion.model_validate(reply)


@for_each(with_members("stream"))
def test_a_mutated_stream_is_a_stream_or_an_upstream_error(case: dict[str, Any]) -> None:
    dice = random.Random(case["source"])
    dialect = DIALECTS[case["provider"]["dialect"]]
    decoder = DECODERS[dialect.framing]()
    events = [*decoder.feed(case["stream"].encode()), *decoder.close()]
    for _ in range(ROUNDS):
        fed = list(mutate_events(events, dice))
        for chunk in fold_events(dialect.stream(build_target(case)), fed):
            assert chunk["choices"], fed
            if dialect.name in STRICT:
                ChatCompletionChunk.model_validate(chunk)


def mutate_events(events: list[Event], dice: random.Random) -> Iterator[Event]:
    """The events with one or two of them changed, dropped, doubled or moved forward."""
    mutated = list(events)
    for _ in range(dice.randint(1, 2)):
        index = dice.randrange(len(mutated))
        act = dice.randrange(6)
        if act == 0 and len(mutated) > 1:
            del mutated[index]
        elif act == 1:
            mutated.insert(index, mutated[dice.randrange(len(mutated))])
        elif act == 2:
            mutated[index] = Event(
                mutated[index].type,
                mutated[index].data[: dice.randrange(len(mutated[index].data) + 1)],
            )
        else:
            mutated[index] = Event(mutated[index].type, mutate_data(mutated[index].data, dice))
    yield from mutated


def mutate_data(data: str, dice: random.Random) -> str:
    try:
        return json.dumps(mutate(json.loads(data), dice))
    except ValueError:
        return data[::-1]


def fold_events(parser: Any, events: list[Event]) -> Iterator[Any]:
    try:
        for event in events:
            yield from parser.feed(event)
        yield from parser.close()
    except UpstreamError:
        return


DEEP: Any = orjson.loads("[" * (MAX_DEPTH - 20) + "]" * (MAX_DEPTH - 20))
"""As deep as it may be at any place in a reply."""


def deepen(value: Any, dice: random.Random) -> Any:
    """A copy with one member replaced by a deep value."""
    mutated = json.loads(json.dumps(value))
    holder, name = dice.choice(list(iterate_members(mutated)))
    holder[name] = DEEP
    return mutated


@for_each(with_members("reply"))
def test_a_deeply_nested_reply_can_be_encoded_and_sent_back(
    case: dict[str, Any],
) -> None:
    dice = random.Random(case["source"])
    for _ in range(ROUNDS // 4):
        with suppress(UpstreamError):
            reply = DIALECTS[case["provider"]["dialect"]].response(
                deepen(case["reply"], dice), build_target(case)
            )
            parse_json(to_json({"messages": [choice["message"] for choice in reply["choices"]]}))
            to_json(reply)


@for_each(with_members("stream"))
def test_deeply_nested_chunks_can_be_encoded_and_sent_back(case: dict[str, Any]) -> None:
    dice = random.Random(case["source"])
    dialect = DIALECTS[case["provider"]["dialect"]]
    decoder = DECODERS[dialect.framing]()
    events = [
        event
        for event in [*decoder.feed(case["stream"].encode()), *decoder.close()]
        if event.data.startswith("{")
    ]
    for _ in range(ROUNDS // 4):
        index = dice.randrange(len(events))
        deep = Event(events[index].type, json.dumps(deepen(json.loads(events[index].data), dice)))
        for chunk in fold_events(
            dialect.stream(build_target(case)), [*events[:index], deep, *events[index + 1 :]]
        ):
            parse_json(to_json(chunk))


@for_each(with_members("chat"))
def test_a_mutated_request_is_a_body_or_refused(case: dict[str, Any]) -> None:
    dice = random.Random(case["source"])
    dialect, target = DIALECTS[case["provider"]["dialect"]], build_target(case)
    for _ in range(ROUNDS):
        mutated = mutate(case["chat"], dice)
        with suppress(InvalidRequest):
            chat, _ = CHECK.check(mutated if isinstance(mutated, dict) else {})
            json.dumps(dialect.request(chat, target).body)


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("depth", [250, 1000])
def test_a_schema_of_any_depth_is_a_body_or_refused(name: str, depth: int) -> None:
    schema: Any = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    function = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    chat: Any = {"model": "m", "messages": [{"role": "user", "content": "?"}], "tools": [function]}
    provider = Provider("p", name, "https://api.example/v1", options={"project": "a-project"})
    with suppress(InvalidRequest):
        body = DIALECTS[name].request(chat, Target(provider, "claude-opus-4-8")).body
        assert body.keys() & {"tools", "toolConfig"}
