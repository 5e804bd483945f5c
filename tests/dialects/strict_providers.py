"""Providers that refuse what the real ones refuse, one class per wire, and answer with thinking, text
and a call.

A body has to fit the official SDK's types, and the rules of the wire's reference that types cannot
say. Signatures are valid only at the provider that made them: this is what providers answer 400 to.
"""

from __future__ import annotations

import base64
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from native_api.types import Provider, Quirks, Target
from tests.corpus import iterate_strings
from tests.dialects.test_bedrock_api_model import converse_operation, find_faults
from tests.sdk_types import check_type

Json = dict[str, Any]
SIGNED = base64.b64encode(b"signed by").decode()
"""How every signature begins."""
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
NO_QUIRKS = Quirks()
FOLLOW_REASONING = ("reasoning", "message", "function_call", "web_search_call")
"""What the Responses API takes after an item of reasoning."""


class StrictProvider(ABC):
    """`signatures` are those that it has made, in their order."""

    dialect: ClassVar[str]
    call_id: ClassVar[re.Pattern[str]] = re.compile(r".{1,64}")
    """What it accepts as the id of a call."""

    def __init__(self, name: str, model: str, quirks: Quirks = NO_QUIRKS, **options: str) -> None:
        provider = Provider(
            name, self.dialect, "https://api.example/v1", quirks=quirks, options=options
        )
        self.name, self.target = name, Target(provider, model)
        self.signatures: list[str] = []

    def __str__(self) -> str:
        return self.name

    def answer(self, body: Json) -> Json:
        """The reply to a body. Fails if a real provider would refuse it."""
        self.check_signatures(body)
        self.check_types(body)
        steps = list(self.read_steps(body))
        self.check_steps(steps)
        return self.build_reply(len(self.signatures))

    def sign(self) -> str:
        words = f"signed by {self.name}, {len(self.signatures)}"
        self.signatures.append(base64.b64encode(words.encode()).decode())
        return self.signatures[-1]

    def check_signatures(self, body: Json) -> None:
        """Nobody else's signatures are there, and all of its own."""
        found = [text for text in iterate_strings(body) if text.startswith(SIGNED)]
        assert found == self.signatures

    def check_steps(self, steps: list[tuple[str, str]]) -> None:
        """Each call is followed by its result, and no id is there twice."""
        calls = [call_id for kind, call_id in steps if kind == "call"]
        assert calls == [call_id for kind, call_id in steps if kind == "result"]
        assert len(set(calls)) == len(calls)
        for call_id in calls:
            assert self.call_id.fullmatch(call_id), call_id
        for first, second in zip(steps[::2], steps[1::2], strict=True):
            assert (first[0], second[0]) == ("call", "result")

    @abstractmethod
    def check_types(self, body: Json) -> None:
        """Fail if the SDK's types do not allow the body."""

    @abstractmethod
    def read_steps(self, body: Json) -> Iterable[tuple[str, str]]:
        """("call" or "result", id) in the order of the body."""

    @abstractmethod
    def build_reply(self, number: int) -> Json:
        """A reply with signed thinking, text and a call of `look`."""


class AnthropicProvider(StrictProvider):
    dialect = "anthropic"
    call_id = re.compile(r"[a-zA-Z0-9_-]+")

    def check_types(self, body: Json) -> None:
        from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

        check_type(MessageCreateParamsNonStreaming, {"model": self.target.model, **body})
        roles = [turn["role"] for turn in body["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        for block in iterate_blocks(body["messages"]):
            assert block["type"] != "text" or block["text"].strip()

    def read_steps(self, body: Json) -> Iterator[tuple[str, str]]:
        for block in iterate_blocks(body["messages"]):
            if block["type"] == "tool_use":
                yield "call", block["id"]
            elif block["type"] == "tool_result":
                yield "result", block["tool_use_id"]

    def build_reply(self, number: int) -> Json:
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": self.target.model,
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": self.sign()},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": {"at": "a"}},
            ],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }


class VertexAnthropicProvider(AnthropicProvider):
    dialect = "anthropic_vertex"

    def check_types(self, body: Json) -> None:
        members = {name: value for name, value in body.items() if name != "anthropic_version"}
        super().check_types(members)


class BedrockProvider(StrictProvider):
    dialect = "bedrock"
    call_id = re.compile(r"[a-zA-Z0-9_-]{1,64}")

    def check_types(self, body: Json) -> None:
        shape = converse_operation().input_shape
        assert list(find_faults(shape, {"modelId": self.target.model, **body})) == []
        roles = [turn["role"] for turn in body["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        for block in iterate_blocks(body["messages"]):
            assert block.get("text", "x").strip()

    def read_steps(self, body: Json) -> Iterator[tuple[str, str]]:
        for block in iterate_blocks(body["messages"]):
            if "toolUse" in block:
                yield "call", block["toolUse"]["toolUseId"]
            elif "toolResult" in block:
                yield "result", block["toolResult"]["toolUseId"]

    def build_reply(self, number: int) -> Json:
        use = {"toolUseId": f"tooluse_{number}", "name": "look", "input": {"at": "a"}}
        thought = {"text": "Hm.", "signature": self.sign()}
        content = [
            {"reasoningContent": {"reasoningText": thought}},
            {"text": "I look."},
            {"toolUse": use},
        ]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        }


class GeminiProvider(StrictProvider):
    """Generation 3: the first call of each step needs a signature, its own or the bypass."""

    dialect = "gemini"

    def check_types(self, body: Json) -> None:
        from google.genai import types

        for turn in body["contents"]:
            types.Content.model_validate(turn)
        types.GenerationConfig.model_validate(body.get("generationConfig", {}))
        for tool in body["tools"]:
            types.Tool.model_validate(tool)
        assert body["contents"][0]["role"] == "user"
        for turn in body["contents"]:
            calls = [part for part in turn["parts"] if "functionCall" in part]
            assert not calls or calls[0].get("thoughtSignature")

    def read_steps(self, body: Json) -> Iterator[tuple[str, str]]:
        for turn in body["contents"]:
            for part in turn["parts"]:
                if "functionCall" in part:
                    yield "call", part["functionCall"]["id"]
                elif "functionResponse" in part:
                    yield "result", part["functionResponse"]["id"]

    def build_reply(self, number: int) -> Json:
        call = {"id": f"fc-{number}", "name": "look", "args": {"at": "a"}}
        parts = [
            {"text": "Hm.", "thought": True},
            {"text": "I look."},
            {"functionCall": call, "thoughtSignature": self.sign()},
        ]
        return {
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1},
            "responseId": f"r{number}",
            "modelVersion": self.target.model,
        }


class ResponsesProvider(StrictProvider):
    dialect = "openai_responses"

    def check_types(self, body: Json) -> None:
        from openai.types.responses.response_create_params import (
            ResponseCreateParamsNonStreaming,
        )

        check_type(ResponseCreateParamsNonStreaming, body)
        kinds = [item.get("type", "message") for item in body["input"]]
        for kind, following in zip(kinds, [*kinds[1:], None], strict=True):
            assert kind != "reasoning" or following in FOLLOW_REASONING

    def read_steps(self, body: Json) -> Iterator[tuple[str, str]]:
        for item in body["input"]:
            if item.get("type") == "function_call":
                yield "call", item["call_id"]
            elif item.get("type") == "function_call_output":
                yield "result", item["call_id"]

    def build_reply(self, number: int) -> Json:
        text = {"type": "output_text", "text": "I look.", "annotations": []}
        call = {"call_id": f"call_{number}", "name": "look", "arguments": '{"at": "a"}'}
        return {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": 1,
            "model": self.target.model,
            "status": "completed",
            "output": [
                {
                    "type": "reasoning",
                    "id": f"rs_{number}",
                    "summary": [{"type": "summary_text", "text": "Hm."}],
                    "encrypted_content": self.sign(),
                },
                {
                    "type": "message",
                    "id": f"msg_{number}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [text],
                },
                {"type": "function_call", "id": f"fc_{number}", "status": "completed", **call},
            ],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        }


class ChatProvider(StrictProvider):
    """A vendor of OpenAI's Chat Completions. `reasoning` is how it sends what has to come back."""

    dialect = "openai"

    def __init__(
        self, name: str, model: str, quirks: Quirks, call_id: str = "call_{name}_{number}"
    ) -> None:
        super().__init__(name, model, quirks)
        self._call_id = call_id
        if quirks.call_id_length:
            self.call_id = re.compile(f"[a-zA-Z0-9]{{{quirks.call_id_length}}}")  # type: ignore[misc]

    def check_types(self, body: Json) -> None:
        from openai.types.chat.completion_create_params import (
            CompletionCreateParamsNonStreaming,
        )

        members = {"reasoning_content", "reasoning", "reasoning_details"}
        messages = [without(message, members) for message in body["messages"]]
        check_type(
            CompletionCreateParamsNonStreaming,
            {**without(body, {"thinking"}), "messages": messages},
        )

    def read_steps(self, body: Json) -> Iterator[tuple[str, str]]:
        for message in body["messages"]:
            for call in message.get("tool_calls") or ():
                yield "call", call["id"]
            if message["role"] == "tool":
                yield "result", message["tool_call_id"]

    def build_reply(self, number: int) -> Json:
        call_id = self._call_id.format(name=self.name, number=number)
        function = {"name": "look", "arguments": '{"at": "a"}'}
        message = {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
            **self._build_reasoning(),
        }
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1,
            "model": self.target.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }

    def _build_reasoning(self) -> Json:
        if "reasoning_details" not in self.target.provider.quirks.extensions:
            return {"reasoning_content": "Hm."}
        detail = {"type": "reasoning.text", "text": "Hm.", "signature": self.sign(), "index": 0}
        return {"reasoning": "Hm.", "reasoning_details": [{**detail, "format": "unknown"}]}


class MistralProvider(ChatProvider):
    """Sends and takes thinking as a part of the content
    (https://docs.mistral.ai/capabilities/reasoning, read 2026-11)."""

    def check_types(self, body: Json) -> None:
        messages = [
            {**message, "content": without_thinking(message.get("content"))}
            for message in body["messages"]
        ]
        super().check_types({**body, "messages": messages})

    def build_reply(self, number: int) -> Json:
        reply = super().build_reply(number)
        message = reply["choices"][0]["message"]
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
        message["content"] = [thought, {"type": "text", "text": "I look."}]
        del message["reasoning_content"]
        return reply


def without_thinking(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [part for part in content if part["type"] != "thinking"] or None


class CohereProvider(StrictProvider):
    """Rules of https://docs.cohere.com/reference/chat (read 2026-11)."""

    dialect = "cohere"

    def check_types(self, body: Json) -> None:
        assert body.keys() <= {"model", "messages", "tools", "thinking", "max_tokens", "stream"}
        for message in body["messages"]:
            assert message["role"] in ("system", "user", "assistant", "tool")
            for part in message.get("content") if isinstance(message.get("content"), list) else ():
                assert part["type"] in ("text", "image_url", "thinking", "document")
                assert part["type"] == "document" or part[part["type"]]
        for tool in body["tools"]:
            assert tool["type"] == "function"
            assert {"name", "parameters"} <= tool["function"].keys()

    def read_steps(self, body: Json) -> Iterator[tuple[str, str]]:
        return ChatProvider.read_steps(self, body)  # type: ignore[arg-type]

    def build_reply(self, number: int) -> Json:
        function = {"name": "look", "arguments": '{"at": "a"}'}
        return {
            "id": f"c{number}",
            "message": {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}],
                "tool_calls": [
                    {"id": f"look_{number}abc", "type": "function", "function": function}
                ],
            },
            "finish_reason": "TOOL_CALL",
            "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}},
        }


class OllamaProvider(StrictProvider):
    """Without ids, as older versions."""

    dialect = "ollama"

    def check_types(self, body: Json) -> None:
        from ollama._types import ChatRequest

        known = ChatRequest.model_validate(body).model_dump(exclude_none=True)
        assert body.keys() <= known.keys()

    def read_steps(self, body: Json) -> Iterator[tuple[str, str]]:
        for message in body["messages"]:
            for call in message.get("tool_calls") or ():
                yield "call", call["id"]
            if message["role"] == "tool":
                yield "result", message["tool_call_id"]

    def build_reply(self, number: int) -> Json:
        call = {"function": {"name": "look", "arguments": {"at": "a"}}}
        return {
            "model": self.target.model,
            "created_at": "2026-11-01T00:00:00Z",
            "message": {
                "role": "assistant", "content": "I look.", "thinking": "Hm.", "tool_calls": [call],
            },
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 1,
            "eval_count": 1,
        }  # fmt: skip


def iterate_blocks(turns: Iterable[Json]) -> Iterator[Json]:
    return (block for turn in turns for block in turn["content"])


def without(value: Json, names: set[str]) -> Json:
    return {name: member for name, member in value.items() if name not in names}


def as_client(value: Any) -> Any:
    """What a client makes of JSON that it sends back."""
    return json.loads(json.dumps(value))
