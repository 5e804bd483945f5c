"""Reads from a provider's own reply everything that the unified reply must say, one reader per wire."""

from __future__ import annotations

from typing import Any

from tests.corpus import ReplyContent, iterate_strings, parse_arguments

ANTHROPIC_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "refusal": "content_filter",
}
GEMINI_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "MODEL_ARMOR": "content_filter",
    "UNEXPECTED_TOOL_CALL": "stop",
}
BEDROCK_REASONS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}
COHERE_REASONS = {"COMPLETE": "stop", "TOOL_CALL": "tool_calls", "MAX_TOKENS": "length"}
"""The provider's finish reason -> OpenAI's, for the reasons in the recordings."""


def read_anthropic(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent(body["id"], body["model"])
    for block in body["content"]:
        if block["type"] == "text":
            start = len("".join(collected.texts))
            collected.texts.append(block["text"])
            place = start, start + len(block["text"])
            collected.places += [place for _ in block.get("citations") or ()]
        elif block["type"] == "tool_use":
            collected.calls.append((block["name"], block["input"]))
        elif block["type"] == "thinking":
            collected.thoughts.append(block["thinking"])
            collected.signatures.append(block["signature"])
        elif block["type"] == "redacted_thinking":
            collected.signatures.append(block["data"])
        else:
            collected.signatures += [text for text in iterate_strings(block) if len(text) > 3]
    collected.finish_reasons = [ANTHROPIC_REASONS[body["stop_reason"]]]
    usage = body["usage"]
    read, written = (
        usage.get("cache_read_input_tokens") or 0,
        usage.get("cache_creation_input_tokens") or 0,
    )
    collected.cached_tokens, collected.cache_write_tokens = read, written
    collected.prompt_tokens = usage["input_tokens"] + read + written
    collected.completion_tokens = usage["output_tokens"]
    collected.reasoning_tokens = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
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
    for annotation in message.get("annotations") or ():
        citation = annotation.get("url_citation") or {}
        place = citation.get("start_index"), citation.get("end_index")
        collected.places.append(None if None in place else place)
    for name in OPENAI_MEMBERS:
        collected.signatures += iterate_strings(message.get(name))


def read_openai(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent(body.get("id"), body.get("model"))
    for choice in body["choices"]:
        _read_openai_message(choice["message"], collected)
        if choice.get("finish_reason"):
            collected.finish_reasons.append(choice["finish_reason"])
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
    collected.total_tokens = usage.get("total_tokens")
    details = usage.get("prompt_tokens_details") or {}
    collected.cached_tokens = (
        details.get("cached_tokens")
        or usage.get("prompt_cache_hit_tokens")
        or usage.get("num_cached_tokens")
    )
    collected.cache_write_tokens = details.get("cache_write_tokens")
    collected.reasoning_tokens = (usage.get("completion_tokens_details") or {}).get(
        "reasoning_tokens"
    )
    return collected


def read_openai_responses(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent(body["id"], body["model"])
    for item in body["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                start = len("".join(collected.texts))
                collected.places += [
                    (start + annotation["start_index"], start + annotation["end_index"])
                    if "start_index" in annotation
                    else None
                    for annotation in part.get("annotations") or ()
                ]
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
    reason = (body.get("incomplete_details") or {}).get("reason")
    collected.finish_reasons = ["length" if reason else "tool_calls" if collected.calls else "stop"]
    usage = body.get("usage") or {}
    collected.prompt_tokens, collected.completion_tokens = (
        usage.get("input_tokens"),
        usage.get("output_tokens"),
    )
    collected.total_tokens = usage.get("total_tokens")
    collected.cached_tokens = (usage.get("input_tokens_details") or {}).get("cached_tokens")
    collected.reasoning_tokens = (usage.get("output_tokens_details") or {}).get("reasoning_tokens")
    return collected


def read_gemini(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent(body.get("responseId"), body.get("modelVersion"))
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
        grounding = candidate.get("groundingMetadata") or {}
        collected.signatures += [text for text in iterate_strings(grounding) if len(text) > 3]
        collected.places += _read_grounding_places(grounding, "".join(collected.texts))
        reason = GEMINI_REASONS[candidate["finishReason"]]
        if reason == "content_filter" and candidate.get("finishMessage"):
            collected.texts.append(candidate["finishMessage"])
        is_call = reason == "stop" and collected.calls
        collected.finish_reasons.append("tool_calls" if is_call else reason)
    usage = body["usageMetadata"]
    collected.prompt_tokens = usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
    collected.completion_tokens = usage.get("candidatesTokenCount", 0) + usage.get(
        "thoughtsTokenCount", 0
    )
    collected.total_tokens = usage.get("totalTokenCount")
    collected.cached_tokens = usage.get("cachedContentTokenCount", 0)
    collected.reasoning_tokens = usage.get("thoughtsTokenCount", 0)
    return collected


def _read_grounding_places(grounding: dict[str, Any], text: str) -> list[tuple[int, int]]:
    """One place for each source of a passage, which Google gives in bytes."""
    encoded = text.encode()
    places = []
    for support in grounding.get("groundingSupports") or ():
        segment = support["segment"]
        start, end = (
            len(encoded[: segment.get(name, 0)].decode()) for name in ("startIndex", "endIndex")
        )
        if segment["text"] != text[start:end]:
            # Google is a few bytes off after some characters.
            start = text.index(segment["text"])
            end = start + len(segment["text"])
        places += [(start, end) for _ in support["groundingChunkIndices"]]
    if not places:
        places = [(0, len(text)) for _ in grounding.get("groundingChunks") or ()]
    return places


def read_bedrock(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent()
    collected.finish_reasons = [BEDROCK_REASONS[body["stopReason"]]]
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
            start = len("".join(collected.texts))
            collected.texts.append(
                "".join(piece["text"] for piece in block["citationsContent"]["content"])
            )
            collected.places += [
                (start, start + len(collected.texts[-1]))
                for _ in block["citationsContent"]["citations"]
            ]
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
    collected.cached_tokens = usage.get("cacheReadInputTokens") or 0
    collected.cache_write_tokens = usage.get("cacheWriteInputTokens") or 0
    cache = collected.cached_tokens + collected.cache_write_tokens
    collected.prompt_tokens = usage["inputTokens"] + cache
    collected.completion_tokens = usage["outputTokens"]
    return collected


def read_cohere(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent(body["id"])
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
    for citation in message.get("citations") or ():
        collected.signatures += [
            text for text in iterate_strings(citation["sources"]) if len(text) > 3
        ]
        collected.places += [(citation["start"], citation["end"]) for _ in citation["sources"]]
    counts = body["usage"].get("tokens") or body["usage"]["billed_units"]
    collected.prompt_tokens, collected.completion_tokens = (
        counts["input_tokens"],
        counts["output_tokens"],
    )
    collected.cached_tokens = body["usage"].get("cached_tokens")
    collected.finish_reasons = [COHERE_REASONS[body["finish_reason"]]]
    return collected


def read_ollama(body: dict[str, Any]) -> ReplyContent:
    collected = ReplyContent(model=body["model"])
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


READERS = {
    "anthropic": read_anthropic,
    "openai": read_openai,
    "openai_responses": read_openai_responses,
    "gemini": read_gemini,
    "bedrock": read_bedrock,
    "cohere": read_cohere,
    "ollama": read_ollama,
}
