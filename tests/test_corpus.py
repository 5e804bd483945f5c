"""Recorded traffic, if it is available: nothing of a provider's reply is lost, whether it is
complete or a stream that is cut anywhere."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Event, Provider, Quirks, Target
from native_api.upstream.decoders import DECODERS
from tests.cases import for_each
from tests.corpus import check_error, check_reply
from tests.corpus_files import complete, failed, find_wire, needs_corpus, select, streamed
from tests.corpus_folding import fold_events
from tests.corpus_readers import READERS
from tests.dialects.stream_folding import fold

pytestmark = needs_corpus

CUTS = 12


def build_target(recording: dict[str, Any]) -> Target:
    return Target(
        Provider("p", find_wire(recording), "https://api.example/v1", quirks=Quirks()),
        recording["request"].get("model") or "m",
    )


@for_each(select(complete))
def test_a_complete_reply_says_what_the_provider_said(recording: dict[str, Any]) -> None:
    wire = find_wire(recording)
    expected = READERS[wire](json.loads(json.dumps(recording["body"])))
    reply = DIALECTS[wire].response(recording["body"], build_target(recording))
    check_reply(expected, reply)


@for_each(select(streamed))
def test_a_stream_gives_the_same_reply_at_any_cut(recording: dict[str, Any]) -> None:
    raw = read_raw(recording)
    whole = parse_stream(recording, [raw])
    outcome, reply = whole
    assert outcome == "failed" or (
        reply["choices"]
        and reply["usage"]
        and all(choice["finish_reason"] for choice in reply["choices"])
    )
    dice = random.Random(7)
    for _ in range(CUTS):
        cut = dice.randrange(len(raw))
        assert parse_stream(recording, [raw[:cut], raw[cut:]]) == whole
    assert (
        parse_stream(recording, [raw[start : start + 7] for start in range(0, len(raw), 7)])
        == whole
    )


@for_each(select(streamed))
def test_a_stream_says_what_the_events_say(recording: dict[str, Any]) -> None:
    outcome, reply = parse_stream(recording, [read_raw(recording)])
    if outcome == "failed":
        return
    wire = find_wire(recording)
    whole = fold_events(wire, decode(recording, [read_raw(recording)]))
    check_reply(READERS[wire](whole), reply)
    if wire == "openai_responses":
        assert (
            reply["choices"] == DIALECTS[wire].response(whole, build_target(recording))["choices"]
        )


def parse_stream(recording: dict[str, Any], pieces: list[bytes]) -> tuple[str, Any]:
    """`("ended", reply)`, or `("failed", (code, message))` for a stream with an error."""
    try:
        return "ended", fold_reply(recording, pieces)
    except UpstreamError as error:
        assert "error" in recording.get("raw", "") or b":exception-type" in base64.b64decode(
            recording.get("raw_base64", "")
        )
        return "failed", (error.code, error.message)


def read_raw(recording: dict[str, Any]) -> bytes:
    if "raw" in recording:
        return bytes(recording["raw"].encode())
    return base64.b64decode(recording["raw_base64"])


def decode(recording: dict[str, Any], pieces: list[bytes]) -> list[Event]:
    decoder = DECODERS[DIALECTS[find_wire(recording)].framing]()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [*events, *decoder.close()]


def fold_reply(recording: dict[str, Any], pieces: list[bytes]) -> dict[str, Any]:
    parser = DIALECTS[find_wire(recording)].stream(build_target(recording))
    chunks = [chunk for event in decode(recording, pieces) for chunk in parser.feed(event)]
    chunks += parser.close()
    head = {"id": chunks[0]["id"], "model": chunks[0]["model"]}
    return {**head, "choices": fold(chunks), "usage": parser.usage}


@for_each(select(failed))
def test_an_error_keeps_its_words_and_its_status(recording: dict[str, Any]) -> None:
    check_error(recording, read_error(recording))


def read_error(recording: dict[str, Any]) -> UpstreamError:
    body = (
        json.dumps(recording["body"]).encode()
        if "body" in recording
        else recording.get("raw", "").encode()
    )
    return DIALECTS[find_wire(recording)].error(recording["status"], {}, body)
