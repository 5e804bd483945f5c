"""Real recorded traffic, where it is at hand: what providers accepted is what a unified request of
the same meaning becomes, and a reply that a client sends back comes back to its provider as it was,
complete or streamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest
from openai.lib.streaming._deltas import accumulate_delta
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from native_api.dialects import DIALECTS
from native_api.inbound.openai import ChatCompletionSerializer
from native_api.types import Provider, Target
from native_api.upstream.decoders import DECODERS
from tests import unified_anthropic, unified_gemini
from tests.test_corpus import FILES, wire_of

pytestmark = pytest.mark.skipif(
    not FILES, reason="The recordings are not beside this repository (../shared/corpus)."
)

CONVERTERS: dict[str, ModuleType] = {"anthropic": unified_anthropic, "gemini": unified_gemini}
CHECK = ChatCompletionSerializer()


def recordings(keep: Callable[[dict[str, Any]], bool]) -> list[Any]:
    return list(chosen(keep))


def chosen(keep: Callable[[dict[str, Any]], bool]) -> Iterable[Any]:
    for path in FILES:
        recording = json.loads(path.read_text())
        is_owned = "advisor_" in json.dumps(recording["request"])  # only the gateway chooses models
        if (
            recording["status"] == 200
            and wire_of(recording) in CONVERTERS
            and not is_owned
            and keep(recording)
        ):
            yield pytest.param(recording, id=f"{path.parent.name}-{path.stem}")


def target_for(recording: dict[str, Any]) -> Target:
    wire = wire_of(recording)
    model = (
        recording["request"].get("model") or recording["path"].rpartition("/")[2].partition(":")[0]
    )
    options = {"project": "p"} if "/projects/" in recording["path"] else {}
    return Target(
        Provider(wire, wire, "https://api.example/v1", options=options, own_account=True), model
    )


def sent(chat: dict[str, Any], target: Target) -> dict[str, Any]:
    """The body that goes to the provider, after all the checks that a client's request goes
    through."""
    checked, _ = CHECK.check(json.loads(json.dumps(chat)))
    body: dict[str, Any] = json.loads(
        json.dumps(DIALECTS[target.provider.dialect].request(checked, target).body)
    )
    return body


@pytest.mark.parametrize("recording", recordings(lambda recording: True))
def test_a_request_of_the_same_meaning_becomes_the_body_that_the_provider_accepted(
    recording: dict[str, Any],
) -> None:
    converter, target, body = (
        CONVERTERS[wire_of(recording)],
        target_for(recording),
        recording["request"],
    )
    assert converter.normalize(
        sent(converter.build_chat(body, target, by_hand=False), target)
    ) == converter.normalize(body)


@pytest.mark.parametrize(
    "recording",
    recordings(lambda recording: CONVERTERS[wire_of(recording)].is_plain(recording["request"])),
)
def test_turns_that_a_client_wrote_by_hand_become_the_same_body(recording: dict[str, Any]) -> None:
    converter, target, body = (
        CONVERTERS[wire_of(recording)],
        target_for(recording),
        recording["request"],
    )
    assert converter.normalize(
        sent(converter.build_chat(body, target, by_hand=True), target)
    ) == converter.normalize(body)


# --- a reply comes back as it was --------------------------------------------------------------------------


def message_of(recording: dict[str, Any], target: Target) -> dict[str, Any]:
    """The message as the openai SDK hands it to a client, which checks the types of everything it
    knows."""
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


@pytest.mark.parametrize(
    "recording",
    recordings(lambda recording: bool(CONVERTERS[wire_of(recording)].read_reply(recording))),
)
def test_a_reply_that_a_client_sends_back_comes_back_as_it_was(recording: dict[str, Any]) -> None:
    converter, target = CONVERTERS[wire_of(recording)], target_for(recording)
    expected = converter.read_reply(json.loads(json.dumps(recording)))
    message = message_of(recording, target)
    body = sent({"model": "m", "messages": [{"role": "user", "content": "?"}, message]}, target)
    assert converter.read_last_turn(body) == expected
