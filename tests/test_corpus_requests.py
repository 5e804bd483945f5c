"""Recorded traffic, if it is available: an equivalent unified request becomes the accepted body,
and a reply that a client sends back reaches its provider unchanged, complete or streamed."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from native_api.dialects import DIALECTS
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import Provider, Target
from native_api.upstream.decoders import DECODERS
from tests import unified_anthropic, unified_gemini
from tests.cases import Cases, for_each
from tests.corpus_files import find_wire, needs_corpus, select
from tests.issued import mark_chat

pytestmark = needs_corpus

CONVERTERS: dict[str, ModuleType] = {"anthropic": unified_anthropic, "gemini": unified_gemini}
CHECK = ChatCompletionSerializer()


def answered(
    keep: Callable[[dict[str, Any]], bool] = lambda recording: True,
) -> Callable[[], Cases]:
    """What loads the recordings of these wires with an answer, except those that choose a model,
    which is the gateway's work."""
    return select(
        lambda recording: (
            recording["status"] == 200
            and find_wire(recording) in CONVERTERS
            and "advisor_" not in json.dumps(recording["request"])
            and keep(recording)
        )
    )


def build_target(recording: dict[str, Any]) -> Target:
    wire = find_wire(recording)
    model = (
        recording["request"].get("model") or recording["path"].rpartition("/")[2].partition(":")[0]
    )
    options = {"project": "p"} if "/projects/" in recording["path"] else {}
    return Target(
        Provider(wire, wire, "https://api.example/v1", options=options, own_account=True), model
    )


def build_sent_body(chat: dict[str, Any], target: Target) -> dict[str, Any]:
    """The body that goes to the provider, after all checks of a client's request."""
    checked, _ = CHECK.check(json.loads(json.dumps(chat)))
    body: dict[str, Any] = json.loads(
        json.dumps(DIALECTS[target.provider.dialect].request(checked, target).body)
    )
    return body


@for_each(answered())
def test_an_equivalent_request_becomes_the_accepted_body(
    recording: dict[str, Any],
) -> None:
    converter, target, body = (
        CONVERTERS[find_wire(recording)],
        build_target(recording),
        recording["request"],
    )
    assert converter.normalize(
        build_sent_body(converter.build_chat(body, target, by_hand=False), target)
    ) == converter.normalize(body)


@for_each(
    answered(lambda recording: CONVERTERS[find_wire(recording)].is_plain(recording["request"]))
)
def test_turns_written_by_a_client_become_the_same_body(recording: dict[str, Any]) -> None:
    converter, target, body = (
        CONVERTERS[find_wire(recording)],
        build_target(recording),
        recording["request"],
    )
    chat = mark_chat(converter.build_chat(body, target, by_hand=True), target.provider.name)
    assert converter.normalize(build_sent_body(chat, target)) == converter.normalize(body)


# --- replies that are sent back ------------------------------------------------------------------


def read_sdk_message(recording: dict[str, Any], target: Target) -> dict[str, Any]:
    """The message as the openai SDK returns it, which checks all types that it knows."""
    dialect = DIALECTS[target.provider.dialect]
    if "body" in recording:
        reply = ChatCompletion.model_validate(dialect.response(recording["body"], target))
        return reply.choices[0].message.to_dict()
    decoder, parser = DECODERS[dialect.framing](), dialect.stream(target)
    chunks = [
        chunk
        for event in [*decoder.feed(recording["raw"].encode()), *decoder.close()]
        for chunk in parser.feed(event)
    ]
    message: dict[Any, Any] = {}
    for chunk in [*chunks, *parser.close()]:
        message = accumulate_delta(
            message, ChatCompletionChunk.model_validate(chunk).choices[0].delta.to_dict()
        )
    return message


@for_each(answered(lambda recording: bool(CONVERTERS[find_wire(recording)].read_reply(recording))))
def test_a_reply_sent_back_by_a_client_is_unchanged(recording: dict[str, Any]) -> None:
    converter, target = CONVERTERS[find_wire(recording)], build_target(recording)
    expected = converter.read_reply(json.loads(json.dumps(recording)))
    message = read_sdk_message(recording, target)
    body = build_sent_body(
        {"model": "m", "messages": [{"role": "user", "content": "?"}, message]}, target
    )
    assert converter.read_last_turn(body) == expected
