"""Recorded traffic, if it is available: nothing of a provider's reply is lost, whether it is
complete or a stream that is cut anywhere."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from native_api.exceptions import UpstreamError
from native_api.types import Provider, Quirks, Target
from native_api.upstream.decoders import DECODERS
from tests.corpus import COLLECTORS, STREAMED, check_nothing_is_lost
from tests.dialects.stream_folding import fold

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus"
FILES = sorted(CORPUS.glob("*/*.json"))
CUTS = 12

pytestmark = pytest.mark.skipif(not FILES, reason="There are no recordings in ../shared/corpus.")


def find_wire(recording: dict[str, Any]) -> str:
    path = recording["path"].partition("?")[0]
    endings = {
        "/messages": "anthropic",
        "/chat/completions": "openai",
        "/responses": "openai_responses",
        "Content": "gemini",
        "/converse": "bedrock",
        "/converse-stream": "bedrock",
        "/v2/chat": "cohere",
        "/api/chat": "ollama",
    }
    return next((wire for ending, wire in endings.items() if path.endswith(ending)), "")


def recordings(stream: bool, error: bool = False) -> list[Any]:
    return list(select_recordings(stream, error))


def select_recordings(stream: bool, error: bool) -> Iterable[Any]:
    for path in FILES:
        recording = json.loads(path.read_text())
        failed = recording["status"] >= 400
        if (
            failed == error
            and (error or ("body" not in recording) == stream)
            and find_wire(recording) in DIALECTS
        ):
            yield pytest.param(recording, id=f"{path.parent.name}-{path.stem}")


def build_target(recording: dict[str, Any]) -> Target:
    return Target(
        Provider("p", find_wire(recording), "https://api.example/v1", quirks=Quirks()),
        recording["request"].get("model") or "m",
    )


@pytest.mark.parametrize("recording", recordings(stream=False))
def test_a_complete_reply_loses_nothing(recording: dict[str, Any]) -> None:
    wire = find_wire(recording)
    expected = COLLECTORS[wire](json.loads(json.dumps(recording["body"])))
    reply = DIALECTS[wire].response(recording["body"], build_target(recording))
    check_nothing_is_lost(expected, reply)
    assert all(
        choice["finish_reason"] in ("stop", "length", "tool_calls", "content_filter")
        for choice in reply["choices"]
    )


@pytest.mark.parametrize("recording", recordings(stream=True))
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


@pytest.mark.parametrize(
    "recording", [case for case in recordings(stream=True) if find_wire(case.values[0]) in STREAMED]
)
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


@pytest.mark.parametrize("recording", recordings(stream=False, error=True))
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
