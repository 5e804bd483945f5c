"""Complete replies of Bedrock as unified ones: whole blocks, and the fields that describe a reply,
which streams share."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.bedrock.errors import read_reply_error
from native_api.dialects.bedrock.replay import REPLY_FIELDS
from native_api.dialects.bedrock.reply_builder import ReplyBuilder
from native_api.dialects.bedrock.usage import read_service_tier, read_usage
from native_api.dialects.shared.deltas import add_delta, complete_message
from native_api.dialects.shared.frames import build_completion
from native_api.dialects.shared.tools import format_arguments
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, Json

SERVER_TOOL_TYPE: Final = "server_tool_use"
"""The type of a call that Amazon's own tool answers."""

ERROR_MEMBERS: Final = frozenset({"message", "Message", "__type", "Output"})


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError if the body is an error or not a reply."""
    output = body.get("output") if isinstance(body, dict) else None
    answer = output.get("message") if isinstance(output, dict) else None
    if not isinstance(answer, dict) or not isinstance(answer.get("content"), list):
        raise _build_no_reply_error(body)
    builder = ReplyBuilder()
    message: Json = {"role": "assistant", "content": None}
    for block in answer["content"]:
        if isinstance(block, dict):
            add_delta(message, _add_block(builder, block))
    delta, finish_reason = builder.finish(body.get("stopReason"), read_reply_fields(body))
    add_delta(message, delta)
    complete_message(message)
    return build_completion(
        [{"index": 0, "message": message, "finish_reason": finish_reason}],
        read_usage(body.get("usage") or {}),
        model=_read_routed_model(body),
        service_tier=read_service_tier(body),
    )


def _build_no_reply_error(body: Any) -> UpstreamError:
    if isinstance(body, dict) and body.keys() & ERROR_MEMBERS:
        return read_reply_error("", body)
    return UpstreamError("The provider's answer is not a Converse reply.")


def read_reply_fields(body: Json) -> list[Json]:
    """The fields that describe a reply, one per item."""
    return [{name: body[name]} for name in REPLY_FIELDS if body.get(name)]


def _read_routed_model(body: Json) -> str:
    """The model that a prompt router chose, if any."""
    return str(((body.get("trace") or {}).get("promptRouter") or {}).get("invokedModelId") or "")


# --- blocks --------------------------------------------------------------------------------------


def _add_block(builder: ReplyBuilder, block: Json) -> Json:
    """The delta of one whole block. A member that is null counts as absent."""
    use = block.get("toolUse")
    if block.get("text") is not None:
        return builder.add_text(block["text"])
    if isinstance(use, dict) and use.get("type") != SERVER_TOOL_TYPE:
        return builder.add_call(use, format_arguments(use.get("input")))
    if isinstance(block.get("reasoningContent"), dict):
        return _add_reasoning(builder, block)
    if isinstance(block.get("citationsContent"), dict):
        return _add_cited_text(builder, block["citationsContent"])
    if isinstance(block.get("image"), dict):
        return builder.add_image(block["image"])
    return builder.add_native_block(block)


def _add_reasoning(builder: ReplyBuilder, block: Json) -> Json:
    reasoning = block["reasoningContent"]
    text = reasoning.get("reasoningText")
    if isinstance(text, dict):
        return builder.add_reasoning(text.get("text") or "", text.get("signature"))
    if reasoning.get("redactedContent"):
        return builder.add_encrypted_reasoning(reasoning["redactedContent"])
    return builder.add_native_block(block)


def _add_cited_text(builder: ReplyBuilder, cited: Json) -> Json:
    start = builder.position.length
    text = "".join(piece.get("text") or "" for piece in cited.get("content") or ())
    delta = builder.add_text(text)
    builder.add_citations(cited.get("citations") or [], start)
    return delta
