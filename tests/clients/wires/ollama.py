"""A scripted Ollama: its own chat API, in lines of JSON.

Sources: https://docs.ollama.com/api/chat and https://docs.ollama.com/capabilities/tool-calling
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from tests.clients.model import Call, ModelInput, ModelOutput, Result, Turn
from tests.clients.wires.base import RequestRefused, Wire, check_members, require, split_text
from tests.scripted_provider import Received

BODY_FIELDS = ("model", "messages", "stream", "tools", "format", "think", "options", "keep_alive")
COUNTS = {
    "prompt_eval_count": 20,
    "eval_count": 12,
    "total_duration": 5,
    "load_duration": 1,
    "prompt_eval_duration": 1,
    "eval_duration": 3,
}


class OllamaWire(Wire):
    """`qwen3` stands for a version that gives tool calls no ids."""

    dialect = "ollama"
    models = ("gpt-oss:20b", "qwen3")
    media_type = "application/x-ndjson"
    usage_fields = tuple(COUNTS)
    counts_cached = False
    can_force_tools = False

    def build_settings(self, url: str) -> dict[str, Any]:
        return {"PRESET": "ollama", "BASE_URL": url}

    def can_think(self, model: str) -> bool:
        return True

    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        require(received.path.endswith("/api/chat"), "404 page not found")
        check_members(body, *BODY_FIELDS, path="body")
        model_input = ModelInput(
            [], stream=body.get("stream", True), wants_thinking=bool(body.get("think"))
        )
        self.has_ids = body["model"] != "qwen3"
        model_input.tools = {
            tool["function"]["name"]: tool["function"] for tool in body.get("tools", ())
        }
        if body.get("format"):
            model_input.schema = {} if body["format"] == "json" else body["format"]
        for message in body["messages"]:
            self._read_message(message, model_input)
        return model_input

    def _read_message(self, message: dict[str, Any], model_input: ModelInput) -> None:
        role = message["role"]
        check_members(
            message,
            "role",
            "content",
            "thinking",
            "images",
            "tool_calls",
            "tool_name",
            "tool_call_id",
            path="messages",
        )
        require(isinstance(message["content"], str), "messages.content must be a string")
        if role == "system":
            model_input.system += message["content"]
        elif role == "tool":
            last = model_input.turns[-1]
            if last.role == "model":
                model_input.turns.append(last := Turn("user"))
            call = model_input.turns[-2].calls[len(last.results)]
            require(
                message["tool_name"] == call.name,
                "tool_name: results must be in the order of the calls",
            )
            last.results.append(Result(call.id, message["content"]))
        else:
            require(role in ("user", "assistant"), f"invalid role: {role}")
            turn = Turn("model" if role == "assistant" else "user", message["content"])
            turn.thoughts = [message["thinking"]] if message.get("thinking") else []
            for call in message.get("tool_calls", ()):
                function = call["function"]
                require(
                    isinstance(function["arguments"], dict),
                    "tool_calls.function.arguments must be an object",
                )
                call_id = f"{len(model_input.turns)}/{len(turn.calls)}"
                turn.calls.append(Call(function["name"], function["arguments"], call_id))
            model_input.turns.append(turn)

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": output.text}
        if model_input.wants_thinking and output.thought:
            message["thinking"] = output.thought
        if output.calls:
            message["tool_calls"] = [
                self._build_call(model_input, index, call)
                for index, call in enumerate(output.calls)
            ]
        return {**build_head(), "message": message, "done": True, "done_reason": "stop", **COUNTS}

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        for piece in split_text(output.thought) if model_input.wants_thinking else ():
            yield build_line({"role": "assistant", "content": "", "thinking": piece})
        for piece in split_text(output.text):
            yield build_line({"role": "assistant", "content": piece})
        for index, call in enumerate(output.calls):
            yield build_line(
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [self._build_call(model_input, index, call)],
                }
            )
        yield build_line(
            {"role": "assistant", "content": ""}, done=True, done_reason="stop", **COUNTS
        )

    def _build_call(self, model_input: ModelInput, index: int, call: Call) -> dict[str, Any]:
        function = {"index": index, "name": call.name, "arguments": call.arguments}
        if not self.has_ids:
            return {"function": function}
        return {"id": f"call_{len(model_input.turns)}_{index}", "function": function}

    def build_error(self, problem: RequestRefused) -> Any:
        return {"error": str(problem)}

    def build_unknown_event(self) -> bytes:
        return b'{"brand_new": true}\n'

    def change_event(self, event: bytes, change: Callable[[Any], Any]) -> bytes:
        return json.dumps(change(json.loads(event))).encode() + b"\n"


def build_head() -> dict[str, Any]:
    return {"model": "local", "created_at": "2026-11-01T10:00:00.123456789Z"}


def build_line(message: dict[str, Any], done: bool = False, **members: Any) -> bytes:
    return (
        json.dumps(
            {**build_head(), "message": message, "done": done, **members}, ensure_ascii=False
        ).encode()
        + b"\n"
    )
