"""Gemini's generateContent, with thoughts and their signatures.

https://ai.google.dev/api/generate-content, …/gemini-api/docs/function-calling and
…/docs/thought-signatures
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import FORCED, Answer, Asked, Call, Result, Turn
from tests.clients.wires.base import KEY, Refused, Wire, demand, known, pieces, signed
from tests.scripted_provider import Received

BODY = (
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "serviceTier",
    "store",
)
CONFIG = (
    "temperature",
    "topP",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseJsonSchema",
    "thinkingConfig",
    "seed",
)
BYPASS = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
KEYWORDS = {
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems", "minItems", "maxItems",
    "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required", "propertyOrdering",
}  # fmt: skip
"""Of `responseJsonSchema` and `parametersJsonSchema`."""

USAGE = {
    "promptTokenCount": 20,
    "candidatesTokenCount": 8,
    "thoughtsTokenCount": 4,
    "totalTokenCount": 32,
    "cachedContentTokenCount": 5,
}


class GeminiWire(Wire):
    dialect = "gemini"
    models = ("gemini-3-pro-preview", "gemini-2.5-flash")
    usage_fields = ("usageMetadata",)
    id_fields = ("responseId",)

    def provider(self, url: str) -> dict[str, Any]:
        return {"PRESET": "gemini", "BASE_URL": url, "API_KEY": KEY}

    def thinks(self, model: str) -> bool:
        return True

    def read(self, received: Received) -> Asked:
        body = received.body
        demand(received.headers.get("x-goog-api-key") == KEY, "API key not valid")
        address = re.fullmatch(
            r".*/models/([\w.-]+):(generateContent|streamGenerateContent\?alt=sse)", received.path
        )
        demand(address, "no such address")
        assert address
        self.is_third = address[1].startswith("gemini-3")
        known(body, *BODY, place="body")
        asked = Asked([], stream=address[2].startswith("stream"))
        asked.system = "".join(
            part["text"] for part in body.get("systemInstruction", {"parts": ()})["parts"]
        )
        self._read_tools(body, asked)
        config = body.get("generationConfig", {})
        known(config, *CONFIG, place="generationConfig")
        asked.thinks = config.get("thinkingConfig", {}).get("includeThoughts", False)
        if config.get("responseMimeType") == "application/json":
            demand(
                self.is_third or not asked.tools,
                "Function calling with a response mime type: 'application/json' is unsupported",
            )
            asked.schema = config.get("responseJsonSchema", {})
            check_schema(asked.schema)
        for content in body["contents"]:
            self._read_content(content, asked)
        demand(asked.turns[0].text, "contents begin with what the user says")
        demand(not asked.turns[-1].calls, "function response parts are missing")
        return asked

    def _read_tools(self, body: dict[str, Any], asked: Asked) -> None:
        for tool in body.get("tools", ()):
            known(tool, "functionDeclarations", "googleSearch", place="tools")
            for function in tool.get("functionDeclarations", ()):
                known(
                    function,
                    "name",
                    "description",
                    "parameters",
                    "parametersJsonSchema",
                    place="functionDeclarations",
                )
                demand(
                    re.fullmatch(r"[a-zA-Z_][\w.:-]{0,63}", function["name"]),
                    "Invalid function name",
                )
                check_schema(function.get("parametersJsonSchema", {}))
                asked.tools[function["name"]] = function
        config = body.get("toolConfig", {}).get("functionCallingConfig", {"mode": "AUTO"})
        demand(config["mode"] in ("AUTO", "ANY", "NONE", "VALIDATED"), "mode: unknown")
        names = config.get("allowedFunctionNames", [])
        demand(set(names) <= set(asked.tools), "allowedFunctionNames: not declared")
        if config["mode"] == "ANY":
            asked.must_call = names[0] if len(names) == 1 else FORCED

    def _read_content(self, content: dict[str, Any], asked: Asked) -> None:
        known(content, "role", "parts", place="contents")
        demand(content["parts"], "contents.parts must not be empty")
        turn = Turn(content["role"])
        demand(turn.role in ("user", "model"), "Please use a valid role: user, model")
        before = asked.turns[-1] if asked.turns else Turn("user")
        for part in content["parts"]:
            self._read_part(part, turn, before)
        needed = [call.id for call in before.calls]
        given = [result.call_id for result in turn.results]
        demand(
            needed == given,
            "the number of function response parts is equal to the number of function call parts of the function call turn",
        )
        demand(not turn.results or not turn.text, "function response parts stand alone")
        if turn.calls and self.is_third:
            first = next(part for part in content["parts"] if "functionCall" in part)
            demand(
                "thoughtSignature" in first,
                "Function call is missing a thought_signature in functionCall parts",
            )
        asked.turns.append(turn)

    def _read_part(self, part: dict[str, Any], turn: Turn, before: Turn) -> None:
        known(
            part,
            "text",
            "thought",
            "thoughtSignature",
            "functionCall",
            "functionResponse",
            place="parts",
        )
        if "functionCall" in part:
            told = part["functionCall"]
            known(told, "id", "name", "args", place="functionCall")
            demand(turn.role == "model", "a function call is the model's")
            turn.calls.append(
                Call(
                    told["name"],
                    told.get("args", {}),
                    told.get("id") or f"{told['name']}/{len(turn.calls)}",
                )
            )
            self._check(part, turn, told["name"])
        elif "functionResponse" in part:
            told = part["functionResponse"]
            known(told, "id", "name", "response", "parts", place="functionResponse")
            position = len(turn.results)
            demand(position < len(before.calls), "a function response without its call")
            demand(
                told["name"] == before.calls[position].name,
                "a function response has another name than its call",
            )
            demand(isinstance(told["response"], dict), "response: a Struct")
            turn.results.append(Result(before.calls[position].id, json.dumps(told["response"])))
        elif part.get("thought"):
            turn.thoughts.append(part["text"])
        else:
            turn.text += part["text"]
            self._check(part, turn, part["text"])

    def _check(self, part: dict[str, Any], turn: Turn, what: str) -> None:
        signature = part.get("thoughtSignature")
        if signature not in (None, BYPASS):
            demand(signature == signed(what), "Corrupted thought signature")
            turn.thoughts.append(what)

    def reply(self, asked: Asked, said: Answer) -> Any:
        content = {"role": "model", "parts": parts(asked, said)}
        return {
            **head(),
            "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
            "usageMetadata": USAGE,
        }

    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        for part in parts(asked, said):
            for cut in cuts(part):
                yield data(
                    {
                        **head(),
                        "candidates": [{"index": 0, "content": {"role": "model", "parts": [cut]}}],
                    }
                )
        last = {
            "index": 0,
            "content": {"role": "model", "parts": [{"text": ""}]},
            "finishReason": "STOP",
        }
        yield data({**head(), "candidates": [last], "usageMetadata": USAGE})

    def error(self, problem: Refused) -> Any:
        return {
            "error": {"code": problem.status, "message": str(problem), "status": "INVALID_ARGUMENT"}
        }


def check_schema(schema: Any) -> None:
    if isinstance(schema, list):
        for item in schema:
            check_schema(item)
    elif isinstance(schema, dict):
        demand(
            schema.keys() <= KEYWORDS, f"schema: unknown keyword {sorted(schema.keys() - KEYWORDS)}"
        )
        for name in ("items", "anyOf", "oneOf", "prefixItems"):
            check_schema(schema.get(name))
        for name in ("properties", "$defs"):
            check_schema(list(schema.get(name, {}).values()))


def parts(asked: Asked, said: Answer) -> list[dict[str, Any]]:
    """The signature is on the first call or, without calls, on the text."""
    told: list[dict[str, Any]] = []
    if asked.thinks and said.thought:
        told.append({"text": said.thought, "thought": True})
    if said.text:
        told.append(
            {"text": said.text, **({} if said.calls else {"thoughtSignature": signed(said.text)})}
        )
    for number, call in enumerate(said.calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
        told.append(part if number else {**part, "thoughtSignature": signed(call.name)})
    return told


def cuts(part: dict[str, Any]) -> list[dict[str, Any]]:
    """A part as a stream cuts it; its signature comes last, on an empty text."""
    if "functionCall" in part:
        return [part]
    told = {name: value for name, value in part.items() if name != "thoughtSignature"}
    found = [{**told, "text": piece} for piece in pieces(part["text"])]
    return [*found, {**part, "text": ""}] if "thoughtSignature" in part else found


def head() -> dict[str, Any]:
    return {"responseId": "response-1", "modelVersion": "gemini"}


def data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n"
