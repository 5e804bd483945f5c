"""The scripted wires as real clients meet them: each request must be valid for the official SDK's
types, members of the SDK that the tests' wires do not know are allowed, and shorthand is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from anthropic.types.beta import message_create_params as anthropic_params
from google.genai import types as google_types
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import response_create_params as responses_params
from pydantic import ValidationError

from tests.clients.model import ModelInput, ModelOutput
from tests.clients.wires import anthropic, openai, openai_responses
from tests.clients.wires.base import RequestRefused, Wire, require
from tests.clients.wires.gemini import GeminiWire
from tests.clients.wires.turns import check_thinking, read_turns
from tests.scripted_provider import Received
from tests.sdk_types import check_type

Json = dict[str, Any]

UNTYPED: Final = frozenset({"client_metadata"})
"""Members that OpenAI's API takes from its own clients, but that its SDK does not have."""


def check(validate: Callable[[], Any]) -> None:
    """Refuse what an SDK's types do not allow, with the places and without the values."""
    try:
        validate()
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        deepest = sorted(faults, key=lambda fault: -len(fault["loc"]))[:3]
        places = [f"{shorten(fault['loc'])}: {fault['msg']}" for fault in deepest]
        raise RequestRefused("; ".join(places)) from error


def shorten(place: tuple[int | str, ...]) -> str:
    """The place without the long names of unions."""
    return ".".join(str(part) for part in place if "[" not in str(part))


def keep(body: Json, names: Collection[str]) -> Json:
    return {name: value for name, value in body.items() if name in names}


def without_nulls(value: Any) -> Any:
    """Null is absence to the real API, but not to its SDK's types."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


class ChatWire(openai.OpenAIWire):
    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        is_stream = body.get("stream", False)
        kind: Any = chat_params.CompletionCreateParamsNonStreaming
        if is_stream:
            kind = chat_params.CompletionCreateParamsStreaming
        check(lambda: check_type(kind, body))
        return super().parse_request(replace(received, body=keep(body, openai.BODY)))


class MessagesWire(anthropic.AnthropicWire):
    def parse_request(self, received: Received) -> ModelInput:
        body = self.read_body(as_known(received))
        kind: Any = anthropic_params.MessageCreateParamsNonStreaming
        if body.get("stream"):
            kind = anthropic_params.MessageCreateParamsStreaming
        check(lambda: check_type(kind, body))
        self._check_betas(body, received.headers)
        model_input = ModelInput(stream=body.get("stream", False), turns=[])
        model_input.system = "\n".join(block["text"] for block in blocks(body.get("system", ())))
        anthropic.read_thinking(body, model_input)
        custom = [tool for tool in body.get("tools", ()) if tool.get("type", "custom") == "custom"]
        tools = [keep(tool, TOOL_MEMBERS) for tool in custom]
        anthropic.read_tools({**body, "tools": tools}, model_input)
        model_input.turns = read_turns(list(merge(body["messages"])), anthropic.read_block)
        if body.get("thinking", {}).get("type") == "enabled":
            check_thinking(model_input.turns)
        return model_input

    def _check_betas(self, body: Json, headers: dict[str, str]) -> None:
        for name, beta in BETAS.items():
            require(
                name not in body or beta in headers.get("anthropic-beta", ""),
                f"{name}: Extra inputs are not permitted",
            )


VERSIONS: Final = ("2023-06-01", "2026-10-21")


def as_known(received: Received) -> Received:
    """The request as the tests' wire knows it: of the old version, without `?beta=true`."""
    version = received.headers.get("anthropic-version")
    require(version in VERSIONS, f"anthropic-version: {version}")
    headers = {**received.headers, "anthropic-version": VERSIONS[0]}
    return replace(received, path=received.path.partition("?")[0], headers=headers)


TOOL_MEMBERS: Final = ("name", "description", "input_schema", "strict", "cache_control")
BETAS: Final = {"context_management": "context-management", "speed": "fast-mode"}
"""Members that Anthropic refuses without their beta."""


def blocks(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [plain(block) for block in content]


def plain(block: Json) -> Json:
    """The block with lists where it has shorthand, and without members that say nothing new."""
    if block["type"] == "tool_result":
        return {**block, "content": blocks(block.get("content", ()))}
    return {name: value for name, value in block.items() if name != "caller"}


def merge(messages: list[Json]) -> list[Json]:
    """Messages in turns: consecutive ones of one role are one, and system messages are the user's,
    as Anthropic reads them."""
    merged: list[Json] = []
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        if merged and merged[-1]["role"] == role:
            merged[-1]["content"] += blocks(message["content"])
        else:
            merged.append({"role": role, "content": blocks(message["content"])})
    return merged


class GoogleWire(GeminiWire):
    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        typed: list[tuple[Any, Json]] = [
            *((google_types.Content, content) for content in body["contents"]),
            *((google_types.Tool, tool) for tool in body.get("tools", ())),
            (google_types.GenerationConfig, body.get("generationConfig", {})),
        ]
        for kind, value in typed:
            check(partial(kind.model_validate, value))
        return super().parse_request(received)


class ResponsesWire(openai_responses.OpenAIResponsesWire):
    """Reasoning is in every reply to a request that wants some; its encrypted content only if the
    request includes it. A reasoning item can only come back with it, since nothing is stored."""

    def parse_request(self, received: Received) -> ModelInput:
        sent = {name: value for name, value in received.body.items() if name not in UNTYPED}
        body = without_nulls(sent)
        body["tools"] = [complete_tool(tool) for tool in body.get("tools", ())]
        if isinstance(body["input"], str):
            body["input"] = [{"role": "user", "content": body["input"]}]
        body["input"] = [complete_item(item) for item in body["input"]]
        kind: Any = responses_params.ResponseCreateParamsNonStreaming
        if body.get("stream"):
            kind = responses_params.ResponseCreateParamsStreaming
        check(lambda: check_type(kind, body))
        known = keep(body, openai_responses.BODY)
        known["tools"] = [tool for tool in body["tools"] if tool["type"] == "function"]
        model_input = super().parse_request(replace(received, body=known))
        if body.get("reasoning", {}).get("summary") and not model_input.wants_thinking:
            return ReasoningInput(**{**vars(model_input), "wants_thinking": True})
        return model_input

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        reply = {**super().build_reply(model_input, output), "store": False}
        return without_encrypted(reply) if isinstance(model_input, ReasoningInput) else reply

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        for event in super().build_stream(model_input, output):
            if isinstance(model_input, ReasoningInput):
                yield self.change_event(event, without_encrypted)
            else:
                yield event


@dataclass
class ReasoningInput(ModelInput):
    """Of a request that wants reasoning without its encrypted content."""


def without_encrypted(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if name != "encrypted_content"}
        return {name: without_encrypted(item) for name, item in kept.items()}
    return [without_encrypted(item) for item in value] if isinstance(value, list) else value


def complete_tool(tool: Json) -> Json:
    """`strict` is optional for the real API (LangChain and the AI SDK leave it out), but not for
    its SDK's types."""
    return {"strict": None, **tool} if tool["type"] == "function" else tool


def complete_item(item: Json) -> Json:
    """The same is true of some members of an assistant's message; other messages may have an id
    (Codex gives them one)."""
    if "role" in item and item["role"] != "assistant":
        return {name: value for name, value in item.items() if name != "id"}
    if "role" not in item or isinstance(item["content"], str):
        return item
    parts = [
        {"annotations": [], **part} if part["type"] == "output_text" else part
        for part in item["content"]
    ]
    return {"type": "message", "id": "msg_1", "status": "completed", **item, "content": parts}


WIRES: Final[dict[str, type[Wire]]] = {
    "openai": ChatWire,
    "anthropic": MessagesWire,
    "gemini": GoogleWire,
    "openai_responses": ResponsesWire,
}
