"""A scripted Ollama: its own chat API, in lines of JSON.

Sources: https://docs.ollama.com/api/chat and https://docs.ollama.com/capabilities/tool-calling
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from tests.clients.model import Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import Refused, Wire, demand, known, pieces
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

    def provider(self, url: str) -> dict[str, Any]:
        return {"PRESET": "ollama", "BASE_URL": url}

    def thinks(self, model: str) -> bool:
        return True

    def read(self, received: Received) -> Asked:
        body = received.body
        demand(received.path.endswith("/api/chat"), "404 page not found")
        known(body, *BODY_FIELDS, place="body")
        asked = Asked([], stream=body.get("stream", True), thinks=bool(body.get("think")))
        self.has_ids = body["model"] != "qwen3"
        asked.tools = {tool["function"]["name"]: tool["function"] for tool in body.get("tools", ())}
        if body.get("format"):
            asked.schema = {} if body["format"] == "json" else body["format"]
        for message in body["messages"]:
            self._read_message(message, asked)
        return asked

    def _read_message(self, message: dict[str, Any], asked: Asked) -> None:
        role = message["role"]
        known(
            message,
            "role",
            "content",
            "thinking",
            "images",
            "tool_calls",
            "tool_name",
            "tool_call_id",
            place="messages",
        )
        demand(isinstance(message["content"], str), "messages.content must be a string")
        if role == "system":
            asked.system += message["content"]
        elif role == "tool":
            last = asked.turns[-1]
            if last.role == "model":
                asked.turns.append(last := Turn("user"))
            call = asked.turns[-2].calls[len(last.results)]
            demand(
                message["tool_name"] == call.name,
                "tool_name: results must be in the order of the calls",
            )
            last.results.append(Result(call.id, message["content"]))
        else:
            demand(role in ("user", "assistant"), f"invalid role: {role}")
            turn = Turn("model" if role == "assistant" else "user", message["content"])
            turn.thoughts = [message["thinking"]] if message.get("thinking") else []
            for call in message.get("tool_calls", ()):
                function = call["function"]
                demand(
                    isinstance(function["arguments"], dict),
                    "tool_calls.function.arguments must be an object",
                )
                call_id = f"{len(asked.turns)}/{len(turn.calls)}"
                turn.calls.append(Call(function["name"], function["arguments"], call_id))
            asked.turns.append(turn)

    def reply(self, asked: Asked, said: Answer) -> Any:
        message: dict[str, Any] = {"role": "assistant", "content": said.text}
        if asked.thinks and said.thought:
            message["thinking"] = said.thought
        if said.calls:
            message["tool_calls"] = [
                self._build_call(asked, index, call) for index, call in enumerate(said.calls)
            ]
        return {**build_head(), "message": message, "done": True, "done_reason": "stop", **COUNTS}

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        for piece in pieces(said.thought) if asked.thinks else ():
            yield build_line({"role": "assistant", "content": "", "thinking": piece})
        for piece in pieces(said.text):
            yield build_line({"role": "assistant", "content": piece})
        for index, call in enumerate(said.calls):
            yield build_line(
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [self._build_call(asked, index, call)],
                }
            )
        yield build_line(
            {"role": "assistant", "content": ""}, done=True, done_reason="stop", **COUNTS
        )

    def _build_call(self, asked: Asked, index: int, call: Call) -> dict[str, Any]:
        function = {"index": index, "name": call.name, "arguments": call.arguments}
        if not self.has_ids:
            return {"function": function}
        return {"id": f"call_{len(asked.turns)}_{index}", "function": function}

    def error(self, problem: Refused) -> Any:
        return {"error": str(problem)}

    def unknown(self) -> bytes:
        return b'{"brand_new": true}\n'

    def changed(self, event: bytes, change: Callable[[Any], Any]) -> bytes:
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
