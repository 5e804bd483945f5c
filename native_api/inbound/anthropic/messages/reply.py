"""A complete unified reply as Anthropic's message: https://platform.claude.com/docs/en/api/messages
(read 2026-11). It is folded from the events that a stream would have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from native_api.dialects.shared.tools import parse_arguments
from native_api.inbound.anthropic.messages.reply_blocks import ReplyBlocks
from native_api.inbound.anthropic.messages.reply_ending import (
    build_stop,
    build_usage,
    find_stop_sequence,
)
from native_api.inbound.anthropic.messages.reply_parts import build_citation
from native_api.inbound.base import ParsedRequest
from native_api.inbound.deltas import iterate_deltas
from native_api.inbound.sealed import find_seal
from native_api.types import ChatCompletion, Json

ID_PREFIX: Final = "msg_"
OTHER_PREFIXES: Final = ("chatcmpl-", "resp_")

STOP_MEMBERS: Final = frozenset({"stop_sequence", "stop_details"})


def build_message(parsed: ParsedRequest, completion: ChatCompletion) -> Json:
    """The message of a unified reply."""
    choice: Any = completion["choices"][0]
    blocks = begin_blocks(parsed)
    message = {name: value for name, value in choice["message"].items() if name != "annotations"}
    events = [event for delta in iterate_deltas(message) for event in blocks.add(delta)]
    content = fold_blocks([*events, *blocks.finish()])
    if not blocks.has_citations:
        _add_citations(content, choice["message"].get("annotations") or ())
    return {
        **build_head(parsed, completion),
        "content": content,
        **build_ending(parsed, choice, blocks),
        "usage": build_usage(completion.get("usage"), completion.get("service_tier")),
    }


def _add_citations(content: Iterable[Json], annotations: Iterable[Json]) -> None:
    """Give the last text the citations. A stream cannot if a call follows the text."""
    texts = [block for block in content if block["type"] == "text"]
    if texts and annotations:
        texts[-1]["citations"] = [build_citation(annotation) for annotation in annotations]


def begin_blocks(parsed: ParsedRequest) -> ReplyBlocks:
    """The blocks of the reply to a request."""
    body = parsed.client_body.body if parsed.client_body is not None else {}
    kind = (body.get("thinking") or {}).get("type", "disabled")
    return ReplyBlocks(find_seal(parsed), asks_for_thinking=kind != "disabled")


def build_head(parsed: ParsedRequest, reply: Any) -> Json:
    """The members of a message that are known at its beginning, from a reply or a chunk.

    The model is the one that was asked for, unless that was a tier. Claude Code leaves the thinking
    of any other out when it asks again, but the model needs it with the results of its calls
    (2.1.197, read 2026-11).
    """
    reply_id = reply.get("id") or ""
    for prefix in OTHER_PREFIXES:
        reply_id = reply_id.removeprefix(prefix)
    if not reply_id.startswith(ID_PREFIX):
        reply_id = f"{ID_PREFIX}{reply_id}"
    model = parsed.body.get("model") or reply.get("model") or ""
    return {"id": reply_id, "type": "message", "role": "assistant", "model": model}


def build_ending(parsed: ParsedRequest, choice: Any, blocks: ReplyBlocks) -> Json:
    """The members that are known at the end, besides the token counts."""
    fields = dict(blocks.fields)
    if not fields.get("stop_sequence") and parsed.client_body is not None:
        sequences = parsed.client_body.body.get("stop_sequences") or ()
        fields["stop_sequence"] = find_stop_sequence(choice, sequences)
    stop = build_stop(choice, fields, blocks.refusal, blocks.has_calls)
    return {**stop, **{name: fields[name] for name in fields.keys() - STOP_MEMBERS}}


def fold_blocks(events: Iterable[Json]) -> list[Json]:
    """The content of the message that these events of its blocks say."""
    content: list[Json] = []
    inputs: dict[int, str] = {}
    for event in events:
        index = event["index"]
        if event["type"] == "content_block_start":
            content.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            _add_piece(content[index], event["delta"], inputs, index)
        elif index in inputs:
            content[index]["input"] = parse_arguments(inputs[index])
    return content


def _add_piece(block: Json, piece: Json, inputs: dict[int, str], index: int) -> None:
    if piece["type"] == "input_json_delta":
        inputs[index] = inputs.get(index, "") + piece["partial_json"]
    elif piece["type"] == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), piece["citation"]]
    elif piece["type"] == "signature_delta":
        block["signature"] = piece["signature"]
    else:
        name = piece["type"].removesuffix("_delta")
        block[name] += piece[name]
