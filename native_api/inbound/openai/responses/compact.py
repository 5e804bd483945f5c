"""Compacting a conversation: https://platform.openai.com/docs/api-reference/responses/compact (read
2026-11).

A model of the site writes a summary, also if the provider could compact by itself: what one
provider has encrypted no other can read, and a conversation may move. The reply's output is the
next request's `input`: the user's messages as they are, then the sealed summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.exceptions import UpstreamError
from native_api.inbound.base import ClientContext, ParsedRequest, to_json
from native_api.inbound.checks import FieldError
from native_api.inbound.openai.responses.opened import OPENED_MEMBERS, is_summary
from native_api.inbound.openai.responses.response_object import ResponseHead, build_usage
from native_api.inbound.openai.responses.responses import ResponsesFormat
from native_api.inbound.openai.responses.unify import unify
from native_api.inbound.sealed import find_seal
from native_api.inbound.translation import Report, Translation
from native_api.types import ChatRequest, Json

INSTRUCTION: Final = (
    "Write a summary of this conversation that replaces it: another model will continue from the "
    "summary and the user's messages alone. State the user's goals and constraints, what was "
    "decided and why, what was done and found (names, paths, numbers and quotes exactly), and what "
    "is still to do. Write only the summary."
)

FIELDS: Final = frozenset(
    {
        "model", "tier", "input", "instructions", "previous_response_id", "prompt_cache_key",
        "prompt_cache_options", "prompt_cache_retention", "service_tier", "metadata", "user",
        "safety_identifier", "conversation_id", "fallbacks", "provider_options",
    }
)  # fmt: skip
"""What says something about a compaction. Clients may send the others of a response."""


class CompactFormat(ResponsesFormat):
    endpoint = "responses/compact"

    def parse(self, data: dict[str, Any], context: ClientContext) -> ParsedRequest:
        parsed = super().parse({name: data[name] for name in data if name in FIELDS}, context)
        written: Json = parsed.client_body.body if parsed.client_body else {}
        if not written.get("input"):
            raise FieldError("input", "expected a conversation").as_invalid_request()
        # Without a wire: targets of Responses get the unified request, too.
        client_body = Translation(unify_compaction).make_client_body("", written)
        return parsed._replace(client_body=client_body)

    def reply(self, parsed: ParsedRequest, reply: Any) -> bytes:
        return to_json(build_compaction(parsed, reply))


def unify_compaction(body: Json, report: Report) -> ChatRequest:
    """The conversation, and the request for its summary."""
    chat = unify(body, report)
    return {**chat, "messages": [*chat["messages"], {"role": "user", "content": INSTRUCTION}]}


def build_compaction(parsed: ParsedRequest, completion: Mapping[str, Any]) -> Json:
    """The object "response.compaction" for a reply whose text is the summary.

    Raises UpstreamError if it has none.
    """
    summary = completion["choices"][0]["message"].get("content")
    if not summary or parsed.client_body is None:
        raise UpstreamError("The provider's model wrote no summary.")
    head = ResponseHead(parsed, completion)
    compaction = {
        "id": f"cmp_{head.key}",
        "type": "compaction",
        "encrypted_content": find_seal(parsed).seal({"summary": summary}),
    }
    return {
        "id": head.response_id,
        "object": "response.compaction",
        "created_at": head.created_at,
        "output": [*_list_user_messages(parsed.client_body.body["input"], head.key), compaction],
        "usage": build_usage(completion.get("usage")),
    }


def _list_user_messages(written: Any, key: str) -> list[Json]:
    """The user's own messages, as items."""
    items = [{"role": "user", "content": written}] if isinstance(written, str) else written
    messages = [item for item in items if _is_users(item) and not is_summary(item)]
    return [
        {
            "id": f"msg_{key}_{index}",
            **{name: value for name, value in message.items() if name not in OPENED_MEMBERS},
            "type": "message",
            "status": "completed",
            "content": _list_parts(message["content"]),
        }
        for index, message in enumerate(messages)
    ]


def _is_users(item: Json) -> bool:
    """Whether an item is a user's message. Other items have roles, too."""
    return item.get("role") == "user" and item.get("type") in (None, "message")


def _list_parts(content: Any) -> Any:
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content
