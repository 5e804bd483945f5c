"""A complete Responses reply as the unified one; usage, finish reasons and failures, which streams
tell too."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.openai_responses.items import Output
from native_api.dialects.shared.errors import build_error, read_embedded_error, read_status
from native_api.dialects.shared.json_values import read_objects
from native_api.dialects.shared.token_counts import build_usage, read_count
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, Json, Usage

JOINED: Final = frozenset({"content", "refusal", "reasoning_content"})
PIECES: Final = frozenset({"tool_calls", "reasoning_details"})
KEPT: Final = frozenset(
    {"service_tier", "moderation", "content_filters", "conversation", "background"}
)
"""Fields of a reply that tell the client something and stand nowhere in the unified shape: passed
on."""

FAILED: Final = frozenset({"failed", "cancelled", "canceled"})
UNFINISHED: Final = frozenset({"queued", "in_progress"})


def build_reply(body: Any) -> ChatCompletion:
    """The unified reply. Raises UpstreamError where the body is an error, a failed response or none
    at all."""
    if not isinstance(body, dict) or not isinstance(body.get("output"), list):
        raise read_embedded_error(body)
    refuse_failed(body)
    output = Output()
    message: Json = {"role": "assistant", "content": None}
    for index, item in enumerate(body["output"]):
        for delta in output.whole(index, item) if isinstance(item, dict) else ():
            add(message, delta)
    if output.annotations:
        message["annotations"] = output.annotations
    for call in message.get("tool_calls", ()):
        del call["index"]
    choice: Json = {
        "index": 0,
        "message": message,
        "finish_reason": finish_reason(body, bool(output.calls)),
    }
    if output.logprobs:
        choice["logprobs"] = logprobs(output.logprobs)
    completion: Any = {
        **head_of(body),
        "object": "chat.completion",
        "choices": [choice],
        **about(body),
    }
    usage = read_usage(body.get("usage"))
    if usage:
        completion["usage"] = usage
    unified: ChatCompletion = completion
    return unified


def add(message: Json, delta: Json) -> None:
    """Fold one delta into a message."""
    for name, value in delta.items():
        if name in JOINED:
            message[name] = (message.get(name) or "") + value
        elif name in PIECES:
            _add_pieces(message.setdefault(name, []), value)
        else:
            message.setdefault(name, []).extend(value)


def _add_pieces(items: list[Json], pieces: list[Json]) -> None:
    for piece in pieces:
        if piece["index"] == len(items):
            items.append({**piece})
            continue
        item = items[piece["index"]]
        for name, value in piece.items():
            if isinstance(value, dict):
                item[name] = {
                    **item[name],
                    **{key: item[name].get(key, "") + text for key, text in value.items()},
                }
            elif isinstance(value, str):
                item[name] = item.get(name, "") + value


def head_of(body: Json) -> Json:
    return {
        "id": str(body.get("id") or ""),
        "created": int(body.get("created_at") or 0),
        "model": str(body.get("model") or ""),
    }


def about(body: Json) -> Json:
    return {name: body[name] for name in sorted(KEPT & body.keys()) if body[name]}


def logprobs(tokens: list[Json]) -> Json:
    """OpenAI's older shape, whose tokens have bytes and alternatives always."""
    return {"content": [_token({"top_logprobs": [], **token}) for token in tokens], "refusal": None}


def _token(token: Json) -> Json:
    told = {"bytes": list(str(token.get("token") or "").encode()), **token}
    if "top_logprobs" in token:
        told["top_logprobs"] = [_token(other) for other in read_objects(token["top_logprobs"])]
    return told


def finish_reason(body: Json, called_tools: bool) -> str:
    """OpenAI's word. A response is complete, or incomplete with a reason."""
    reason = str((body.get("incomplete_details") or {}).get("reason") or "")
    if reason.startswith("content_filter"):
        return "content_filter"
    if reason or body.get("status") == "incomplete":
        return "length"
    return "tool_calls" if called_tools else "stop"


def refuse_failed(body: Json) -> None:
    """Raise for a response that is a failure, or that was cancelled."""
    if body.get("error") or body.get("status") in FAILED:
        raise read_reply_error(
            body.get("error") or {"message": f"the response is {body.get('status')}"}
        )


def state_without_answer(body: Any) -> str:
    """`queued` or `in_progress`, where that is all that a response tells: a provider that answers
    in the background keeps the rest."""
    is_waiting = (
        isinstance(body, dict) and body.get("status") in UNFINISHED and not body.get("output")
    )
    return str(body["status"]) if is_waiting else ""


def read_reply_error(detail: Any) -> UpstreamError:
    """The meaning of a response's `error`, or of an `error` event."""
    if isinstance(detail, dict) and isinstance(detail.get("error"), dict):
        detail = detail["error"]
    if not isinstance(detail, dict):
        detail = {"message": str(detail)}
    return build_error(read_status(detail), detail, {})


def read_usage(told: Any) -> Usage | None:
    """OpenAI's older names. Input has the cached tokens in it, output the reasoning."""
    if not isinstance(told, dict) or not {"input_tokens", "output_tokens"} & told.keys():
        return None
    names = {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
        "output_tokens_details",
    }
    usage: Json = {
        **{name: value for name, value in told.items() if name not in names},
        **build_usage(
            read_count(told, "input_tokens"),
            read_count(told, "output_tokens"),
            read_count(told, "total_tokens"),
        ),
    }
    for name, other in (
        ("prompt_tokens_details", "input_tokens_details"),
        ("completion_tokens_details", "output_tokens_details"),
    ):
        details = told.get(other)
        details = (
            {key: value for key, value in details.items() if value is not None}
            if isinstance(details, dict)
            else {}
        )
        if details:
            usage[name] = details
    counted: Any = usage
    unified: Usage = counted
    return unified
