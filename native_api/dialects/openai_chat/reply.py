"""Builds a complete reply of OpenAI's family."""

from __future__ import annotations

from typing import Any, Final

from native_api.dialects.openai_chat.choice import ChoiceBuilder
from native_api.dialects.openai_chat.content import build_logprobs
from native_api.dialects.openai_chat.sameness import is_same_choice
from native_api.dialects.openai_chat.usage import read_usage
from native_api.dialects.shared.errors import is_error, read_embedded_error
from native_api.dialects.shared.json_values import read_objects
from native_api.dialects.shared.reply_fields import CHECKED_FIELDS, read_checked_fields
from native_api.exceptions import UpstreamError
from native_api.types import ChatCompletion, Json, Quirks

CHOICE_MEMBERS: Final = frozenset(
    {"index", "delta", "message", "text", "finish_reason", "logprobs", "usage", "error"}
)
"""Members of a choice that are read; others are passed on if they are not null."""
READ_MEMBERS: Final = frozenset({"choices", "usage", "x_groq"})
"""Members of a reply that are read; others are passed on, checked if OpenAI has them."""


def build_reply(body: Any, quirks: Quirks) -> ChatCompletion:
    """The unified reply. Raises UpstreamError if the body is an error or has no choices."""
    if (
        not isinstance(body, dict)
        or not isinstance(body.get("choices"), list)
        or not body["choices"]
        or is_error(body)
    ):
        raise read_embedded_error(body)
    completion: Any = {
        name: value
        for name, value in body.items()
        if name not in READ_MEMBERS and (value is None or name not in CHECKED_FIELDS)
    }
    completion |= {
        "id": str(body.get("id") or ""),
        "object": "chat.completion",
        "created": body.get("created") or 0,
    }
    completion["model"] = str(body.get("model") or "")
    completion |= read_checked_fields(body)
    completion["choices"] = [
        _build_choice(choice, index, body, quirks) for index, choice in enumerate(body["choices"])
    ]
    groq = without_usage(body.get("x_groq"))
    if groq:
        completion["x_groq"] = groq
    usage = read_usage(body)
    if usage:
        completion["usage"] = usage
    reply: ChatCompletion = completion
    return reply


def without_usage(groq: Any) -> Json:
    """Groq's own member of a reply without its usage, which is sent as `usage`."""
    if not isinstance(groq, dict):
        return {}
    return {name: value for name, value in groq.items() if name != "usage"}


def _build_choice(choice: Any, position: int, body: Json, quirks: Quirks) -> Json:
    if not isinstance(choice, dict):
        raise UpstreamError("A choice in the provider's answer is not an object.")
    index = choice["index"] if isinstance(choice.get("index"), int) else position
    builder = ChoiceBuilder(index, quirks)
    builder.read_finish_reason(choice)
    piece = dict(choice.get("message") or choice.get("delta") or {"content": choice.get("text")})
    piece["tool_calls"] = [
        {**call, "index": number}
        for number, call in enumerate(read_objects(piece.get("tool_calls")))
    ]
    delta = builder.add(piece)
    message: Json = {"role": "assistant", "content": None, **delta}
    last_delta, finish_reason = builder.finish(body)
    _add_last_delta(message, last_delta)
    if not any(value for name, value in message.items() if name != "role"):
        message["content"] = ""  # null would be refused when it comes back as history
    extra = {
        name: value
        for name, value in choice.items()
        if name not in CHOICE_MEMBERS and value is not None
    }
    unified = {**extra, "index": index, "message": message, "finish_reason": finish_reason}
    if "logprobs" in choice:
        unified["logprobs"] = build_logprobs(choice["logprobs"], message["content"] or "")
    return choice if is_same_choice(choice, unified, "message") else unified


def _add_last_delta(message: Json, delta: Json) -> None:
    for call in delta.pop("tool_calls", ()):
        function = message["tool_calls"][call["index"]]["function"]
        function["arguments"] = call["function"]["arguments"]
    for name, value in delta.items():
        message[name] = (message.get(name) or "") + value if isinstance(value, str) else value
    for call in message.get("tool_calls") or ():
        del call["index"]
    if message.get("tool_calls") and not message["content"]:
        message["content"] = None
