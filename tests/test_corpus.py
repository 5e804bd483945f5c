"""Recorded traffic, if it is available: nothing of a provider's reply is lost, whether it is
complete or a stream that is cut anywhere."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Provider, Quirks, Target
from native_api.upstream.decoders import DECODERS
from tests.cases import for_each
from tests.corpus import COLLECTORS, STREAMED, check_nothing_is_lost
from tests.corpus_files import complete, failed, find_wire, needs_corpus, select, streamed
from tests.dialects.stream_folding import fold

pytestmark = needs_corpus

CUTS = 12


def build_target(recording: dict[str, Any]) -> Target:
    return Target(
        Provider("p", find_wire(recording), "https://api.example/v1", quirks=Quirks()),
        recording["request"].get("model") or "m",
    )


@for_each(select(complete))
def test_a_complete_reply_loses_nothing(recording: dict[str, Any]) -> None:
    wire = find_wire(recording)
    expected = COLLECTORS[wire](json.loads(json.dumps(recording["body"])))
    reply = DIALECTS[wire].response(recording["body"], build_target(recording))
    check_nothing_is_lost(expected, reply)
    assert all(
        choice["finish_reason"] in ("stop", "length", "tool_calls", "content_filter")
        for choice in reply["choices"]
    )


@for_each(select(streamed))
def test_a_stream_gives_the_same_reply_at_any_cut(recording: dict[str, Any]) -> None:
    raw = (
        recording["raw"].encode()
        if "raw" in recording
        else base64.b64decode(recording["raw_base64"])
    )
    whole = parse_stream(recording, [raw])
    assert whole[0] == "failed" or (
        whole[1] and whole[2] and all(choice["finish_reason"] for choice in whole[1])
    )
    dice = random.Random(7)
    for _ in range(CUTS):
        cut = dice.randrange(len(raw))
        assert parse_stream(recording, [raw[:cut], raw[cut:]]) == whole
    assert (
        parse_stream(recording, [raw[start : start + 7] for start in range(0, len(raw), 7)])
        == whole
    )


@for_each(select(lambda recording: streamed(recording) and find_wire(recording) in STREAMED))
def test_a_stream_loses_nothing(recording: dict[str, Any]) -> None:
    outcome, choices, usage = parse_stream(recording, [recording["raw"].encode()])
    if outcome == "failed":
        return
    wire = find_wire(recording)
    events = [
        json.loads(line[6:]) for line in recording["raw"].splitlines() if line.startswith("data: {")
    ]
    whole = STREAMED[wire](events)
    check_nothing_is_lost(COLLECTORS[wire](whole), {"choices": choices, "usage": usage})
    if wire == "openai_responses":
        assert choices == DIALECTS[wire].response(whole, build_target(recording))["choices"]


def parse_stream(recording: dict[str, Any], pieces: list[bytes]) -> tuple[str, Any, Any]:
    """`("ended", choices, usage)`, or `("failed", code, message)` for a stream with an error."""
    try:
        return ("ended", *fold_result(recording, pieces))
    except UpstreamError as error:
        assert "error" in recording.get("raw", "") or b":exception-type" in base64.b64decode(
            recording.get("raw_base64", "")
        )
        return "failed", error.code, error.message


def fold_result(recording: dict[str, Any], pieces: list[bytes]) -> tuple[Any, Any]:
    dialect = DIALECTS[find_wire(recording)]
    decoder, parser = DECODERS[dialect.framing](), dialect.stream(build_target(recording))
    chunks = [
        chunk for piece in pieces for event in decoder.feed(piece) for chunk in parser.feed(event)
    ]
    chunks += [chunk for event in decoder.close() for chunk in parser.feed(event)]
    return fold([*chunks, *parser.close()]), parser.usage


@for_each(select(failed))
def test_an_error_is_mapped_to_the_gateways_own(recording: dict[str, Any]) -> None:
    body = (
        json.dumps(recording["body"]).encode()
        if "body" in recording
        else recording.get("raw", "").encode()
    )
    error = DIALECTS[find_wire(recording)].error(recording["status"], {}, body)
    assert isinstance(error, UpstreamError)
    assert error.status in (400, 413, 429, 502)
    assert error.upstream_status == recording["status"]
