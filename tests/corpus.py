"""Reads from a provider's own reply everything that the unified reply must contain.

Each reader knows its wire, but uses nothing of the dialects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ReplyContent:
    """The texts, calls, reasoning, token counts and other strings of a reply.

    A call is (name, arguments).
    """

    texts: list[str] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


def parse_arguments(arguments: Any) -> Any:
    """Arguments as a value if they are JSON, otherwise the text."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def iterate_strings(value: Any) -> Iterator[str]:
    """Every string in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from iterate_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from iterate_strings(item)


def read_anthropic(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    for block in body["content"]:
        if block["type"] == "text":
            collected.texts.append(block["text"])
        elif block["type"] == "tool_use":
            collected.calls.append((block["name"], block["input"]))
        elif block["type"] == "thinking":
            collected.thoughts.append(block["thinking"])
            collected.signatures.append(block["signature"])
        elif block["type"] == "redacted_thinking":
            collected.signatures.append(block["data"])
        else:
            collected.signatures += [text for text in iterate_strings(block) if len(text) > 3]
    usage = body["usage"]
    cache = (usage.get("cache_creation_input_tokens") or 0) + (
        usage.get("cache_read_input_tokens") or 0
    )
    collected.prompt_tokens, collected.completion_tokens = (
        usage["input_tokens"] + cache,
        usage["output_tokens"],
    )
    return collected


OPENAI_MEMBERS = (
    "reasoning_details",
    "annotations",
    "audio",
    "images",
    "executed_tools",
    "refusal",
)


def _read_openai_message(message: dict[str, Any], collected: ReplyContent) -> None:
    content = message.get("content") or ""
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part["type"] == "thinking":
            collected.thoughts += [thought["text"] for thought in part["thinking"]]
        elif part["type"] == "text":
            collected.texts.append(part["text"])
        else:
            collected.signatures += iterate_strings(part)
    collected.thoughts += [
        text for text in (message.get("reasoning_content"), message.get("reasoning")) if text
    ]
    for call in message.get("tool_calls") or ():
        collected.calls.append(
            (call["function"]["name"], parse_arguments(call["function"]["arguments"]))
        )
        collected.ids.append(call["id"])
    for name in OPENAI_MEMBERS:
        collected.signatures += iterate_strings(message.get(name))


def read_openai(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    for choice in body["choices"]:
        _read_openai_message(choice["message"], collected)
        collected.signatures += iterate_strings((choice.get("logprobs") or {}).get("content"))
    collected.signatures += [
        text
        for name in ("provider", "citations", "search_results", "moderation")
        for text in iterate_strings(body.get(name))
    ]
    usage = body.get("usage") or {}
    collected.prompt_tokens, collected.completion_tokens = (
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
    )
    details = usage.get("prompt_tokens_details") or {}
    collected.cached_tokens = (
        details.get("cached_tokens")
        or usage.get("prompt_cache_hit_tokens")
        or usage.get("num_cached_tokens")
    )
    collected.reasoning_tokens = (usage.get("completion_tokens_details") or {}).get(
        "reasoning_tokens"
    )
    return collected


def read_openai_responses(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    for item in body["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                collected.texts += [part[name] for name in ("text", "refusal") if name in part]
                collected.signatures += iterate_strings(part.get("annotations"))
                collected.signatures += iterate_strings(part.get("logprobs"))
            collected.signatures += [item["phase"]] if item.get("phase") else []
        elif item["type"] in ("function_call", "custom_tool_call"):
            collected.calls.append(
                (
                    item["name"],
                    parse_arguments(item["arguments"] if "arguments" in item else item["input"]),
                )
            )
            collected.ids.append(item["call_id"])
            collected.signatures += [item["namespace"]] if item.get("namespace") else []
        elif item["type"] == "reasoning":
            collected.thoughts += [
                part["text"] for part in (*item["summary"], *(item.get("content") or ()))
            ]
            collected.signatures += [
                item[name] for name in ("id", "encrypted_content") if item.get(name)
            ]
        else:
            collected.signatures += iterate_strings(item)
    usage = body.get("usage") or {}
    collected.prompt_tokens, collected.completion_tokens = (
        usage.get("input_tokens"),
        usage.get("output_tokens"),
    )
    collected.cached_tokens = (usage.get("input_tokens_details") or {}).get("cached_tokens")
    collected.reasoning_tokens = (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
    return collected


def read_gemini(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    for part in [
        part
        for candidate in body["candidates"]
        for part in (candidate.get("content") or {}).get("parts") or ()
    ]:
        if "text" in part:
            (collected.thoughts if part.get("thought") else collected.texts).append(part["text"])
        elif "functionCall" in part:
            collected.calls.append(
                (part["functionCall"]["name"], part["functionCall"].get("args") or {})
            )
        else:
            collected.signatures += [text for text in iterate_strings(part) if len(text) > 3]
        collected.signatures += [part["thoughtSignature"]] if "thoughtSignature" in part else []
    for candidate in body["candidates"]:
        collected.signatures += [
            text for text in iterate_strings(candidate.get("groundingMetadata")) if len(text) > 3
        ]
    usage = body["usageMetadata"]
    collected.prompt_tokens = usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
    collected.completion_tokens = usage.get("candidatesTokenCount", 0) + usage.get(
        "thoughtsTokenCount", 0
    )
    return collected


def read_bedrock(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    for block in body["output"]["message"]["content"]:
        reasoning = block.get("reasoningContent", {})
        if "text" in block:
            collected.texts.append(block["text"])
        elif "toolUse" in block and block["toolUse"].get("type") != "server_tool_use":
            collected.calls.append((block["toolUse"]["name"], block["toolUse"]["input"]))
        elif "reasoningText" in reasoning:
            collected.thoughts.append(reasoning["reasoningText"]["text"])
            collected.signatures += (
                [reasoning["reasoningText"]["signature"]]
                if "signature" in reasoning["reasoningText"]
                else []
            )
        elif "citationsContent" in block:
            collected.texts.append(
                "".join(piece["text"] for piece in block["citationsContent"]["content"])
            )
            collected.signatures += [
                text
                for text in iterate_strings(block["citationsContent"]["citations"])
                if len(text) > 3
            ]
        else:
            collected.signatures += [text for text in iterate_strings(block) if len(text) > 3]
    collected.signatures += [
        text
        for text in iterate_strings([body.get("trace"), body.get("additionalModelResponseFields")])
        if len(text) > 3
    ]
    usage = body["usage"]
    cache = (usage.get("cacheReadInputTokens") or 0) + (usage.get("cacheWriteInputTokens") or 0)
    collected.prompt_tokens, collected.completion_tokens = (
        usage["inputTokens"] + cache,
        usage["outputTokens"],
    )
    return collected


def read_cohere(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    message = body["message"]
    for block in message.get("content") or ():
        if block["type"] == "text":
            collected.texts.append(block["text"])
        elif block["type"] == "thinking":
            collected.thoughts.append(block["thinking"])
            collected.signatures.append(block["thinking"])
        else:
            collected.signatures += [text for text in iterate_strings(block) if len(text) > 3]
    if message.get("tool_plan"):
        collected.thoughts.append(message["tool_plan"])
        collected.signatures.append(message["tool_plan"])
    for call in message.get("tool_calls") or ():
        collected.calls.append(
            (call["function"]["name"], parse_arguments(call["function"]["arguments"]))
        )
    collected.signatures += [
        text
        for citation in message.get("citations") or ()
        for text in iterate_strings(citation["sources"])
        if len(text) > 3
    ]
    counts = body["usage"].get("tokens") or body["usage"]["billed_units"]
    collected.prompt_tokens, collected.completion_tokens = (
        counts["input_tokens"],
        counts["output_tokens"],
    )
    return collected


def read_ollama(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    message = body["message"]
    collected.texts += [message["content"]] if message.get("content") else []
    collected.thoughts += [message["thinking"]] if message.get("thinking") else []
    collected.signatures += [
        f"data:{_image_type(data)};base64,{data}" for data in message.get("images") or ()
    ]
    for call in message.get("tool_calls") or ():
        collected.calls.append((call["function"]["name"], call["function"]["arguments"]))
    collected.prompt_tokens, collected.completion_tokens = (
        body.get("prompt_eval_count", 0),
        body.get("eval_count", 0),
    )
    return collected


def _image_type(data: str) -> str:
    return "image/jpeg" if data.startswith("/9j/") else "image/png"


def fold_openai_stream(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The reply of these chunks of one choice, folded without the dialect."""
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    calls: dict[int, dict[str, Any]] = {}
    for piece in [piece for delta in deltas for piece in delta.get("tool_calls") or ()]:
        call = calls.setdefault(
            piece["index"], {"id": piece.get("id"), "function": {"name": "", "arguments": ""}}
        )
        for name, text in piece["function"].items():
            call["function"][name] += text
    details = [
        item
        for delta in deltas
        for item in delta.get("reasoning_details") or ()
        if item.get("signature") or item.get("data")
    ]
    usages = [event["usage"] for event in events if event.get("usage")]
    message = {
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "reasoning": "".join(
            delta.get("reasoning") or delta.get("reasoning_content") or "" for delta in deltas
        ),
        "tool_calls": [calls[index] for index in sorted(calls)],
        "reasoning_details": [
            {"data": item.get("signature") or item.get("data")} for item in details
        ],
        "annotations": [item for delta in deltas for item in delta.get("annotations") or ()],
    }
    return {"choices": [{"message": message}], "usage": usages[-1] if usages else {}}


def fold_openai_responses_stream(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The final response with the items of the `done` events, whose encrypted content is valid."""
    final: dict[str, Any] = events[-1]["response"]
    done = {
        event["output_index"]: event["item"]
        for event in events
        if event["type"] == "response.output_item.done"
    }
    return {
        **final,
        "output": [done.get(index, item) for index, item in enumerate(final["output"])],
    }


STREAMED = {"openai": fold_openai_stream, "openai_responses": fold_openai_responses_stream}

COLLECTORS = {
    "anthropic": read_anthropic,
    "openai": read_openai,
    "openai_responses": read_openai_responses,
    "gemini": read_gemini,
    "bedrock": read_bedrock,
    "cohere": read_cohere,
    "ollama": read_ollama,
}


def check_nothing_is_lost(collected: ReplyContent, reply: Any) -> None:
    """Fail if the unified reply lacks something, and name it."""
    messages = [choice["message"] for choice in reply["choices"]]
    reply_text = "".join(
        (message.get("content") or "") + (message.get("refusal") or "") for message in messages
    )
    for text in collected.texts:
        assert text in reply_text, f"text lost: {text[:80]!r}"
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    assert [read_calls(call) for call in calls] == collected.calls
    if collected.ids:
        assert [call["id"] for call in calls] == collected.ids
    reasoning = "".join(message.get("reasoning_content") or "" for message in messages)
    for thought in collected.thoughts:
        assert thought in reasoning, f"reasoning lost: {thought[:80]!r}"
    strings = set(iterate_strings(reply))
    for signature in collected.signatures:
        assert signature in strings, f"signature lost: {signature[:40]!r}"
    check_counts(collected, reply.get("usage") or {})


def read_calls(call: dict[str, Any]) -> tuple[str, Any]:
    if call["type"] == "custom":
        return call["custom"]["name"], parse_arguments(call["custom"]["input"])
    return call["function"]["name"], parse_arguments(call["function"]["arguments"])


def check_counts(collected: ReplyContent, usage: dict[str, Any]) -> None:
    if collected.prompt_tokens is not None:
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (
            collected.prompt_tokens,
            collected.completion_tokens,
        )
    if collected.cached_tokens:
        assert usage["prompt_tokens_details"]["cached_tokens"] == collected.cached_tokens
    if collected.reasoning_tokens:
        assert usage["completion_tokens_details"]["reasoning_tokens"] == collected.reasoning_tokens
