"""What a response says, in the shape of the unified reply: read from the SDK's own objects, with what
was sealed for the caller."""

from __future__ import annotations

from typing import Any

from openai.types.responses import Response

from native_api.dialects.shared.reply_fields import read_moderation
from native_api.inbound.openai.responses.response_object import SAME_MEMBERS
from native_api.inbound.replayed import restore
from tests.corpus import remove_line_breaks
from tests.inbound.contexts import context_of

USAGE_NAMES = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
CALLS = ("function_call", "custom_tool_call")
FINISH_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


def read_as_reply(response: Response) -> dict[str, Any]:
    """The unified reply that says what the response says."""
    dumped = response.model_dump(mode="json", exclude_unset=True)
    details = dumped["incomplete_details"]
    message = read_message(dumped["output"])
    reason = FINISH_REASONS[details["reason"]] if details else ""
    reply = {
        "object": "chat.completion",
        "created": dumped["created_at"],
        "model": dumped["model"],
        "choices": [
            {
                "message": message,
                "finish_reason": reason or ("tool_calls" if message["tool_calls"] else "stop"),
                "logprobs": {"content": read_logprobs(dumped["output"])},
            }
        ],
        "usage": {
            USAGE_NAMES.get(name, name): value for name, value in (dumped["usage"] or {}).items()
        },
    }
    return {**reply, **{name: dumped.get(name) for name in SAME_MEMBERS}, **read_moderation(dumped)}


def read_message(output: list[Any]) -> dict[str, Any]:
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    texts = [part for part in parts if part["type"] == "output_text"]
    restored = read_sealed(output)
    extras = restored.pop("calls", {})
    images = [read_image(item) for item in output if item["type"] == "image_generation_call"]
    for index, extra in restored.pop("image_extras", {}).items():
        images[int(index)]["extra_content"] = extra
    return {
        "role": "assistant",
        "content": "".join(part["text"] for part in texts),
        "refusal": "".join(part["refusal"] for part in parts if part["type"] == "refusal"),
        "reasoning_content": "".join(
            remove_line_breaks(summary["text"])
            for item in output
            if item["type"] == "reasoning"
            for summary in item["summary"]
        ),
        "tool_calls": [read_call(item, extras) for item in output if item["type"] in CALLS],
        "images": images,
        "annotations": read_annotations(texts),
        **restored,
    }


def read_sealed(output: list[Any]) -> Any:
    """What was sealed in all items."""
    opened = [
        context_of().seal.open(item["encrypted_content"])
        for item in output
        if item["type"] == "reasoning" and item["encrypted_content"]
    ]
    return restore([value["message"] for value in opened])


def read_call(item: Any, extras: Any) -> dict[str, Any]:
    kind, member = (
        ("function", "arguments") if item["type"] == "function_call" else ("custom", "input")
    )
    return {
        "id": item["call_id"],
        "type": kind,
        kind: {"name": item["name"], member: item[member]},
        "extra_content": extras.get(item["call_id"]),
    }


def read_image(item: Any) -> dict[str, Any]:
    subtype = {"svg": "svg+xml"}.get(item["output_format"], item["output_format"])
    url = f"data:image/{subtype};base64,{item['result']}"
    return {"type": "image_url", "image_url": {"url": url}}


def read_annotations(texts: list[Any]) -> list[Any]:
    """The annotations, with places that count over the whole text."""
    annotations, start = [], 0
    for part in texts:
        for annotation in part["annotations"]:
            kind, citation = annotation["type"], dict(annotation)
            if kind == "url_citation":
                del citation["type"]
                citation |= {name: citation[name] + start for name in ("start_index", "end_index")}
            annotations.append({"type": kind, kind: citation})
        start += len(part["text"])
    return annotations


def read_logprobs(output: list[Any]) -> list[Any]:
    return [
        token
        for item in output
        if item["type"] == "message"
        for part in item["content"]
        for token in part.get("logprobs") or ()
    ]
