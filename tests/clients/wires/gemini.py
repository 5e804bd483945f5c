"""A scripted Gemini: generateContent, with thoughts and their signatures.

Sources: https://ai.google.dev/api/generate-content,
https://ai.google.dev/gemini-api/docs/function-calling and
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import ANY_TOOL, Call, ModelInput, ModelOutput, Result, Turn
from tests.clients.wires.base import (
    KEY,
    RequestRefused,
    Wire,
    check_members,
    require,
    sign,
    split_text,
)
from tests.scripted_provider import Received

BODY_FIELDS = (
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "serviceTier",
    "store",
)
CONFIG_FIELDS = (
    "temperature",
    "topP",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseJsonSchema",
    "thinkingConfig",
    "seed",
)
SIGNATURE_BYPASS = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
SCHEMA_KEYWORDS = {
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items",
    "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties",
    "additionalProperties", "required", "propertyOrdering",
    "default", "maxLength", "minLength", "pattern", "uniqueItems",
}  # fmt: skip
"""The keywords that `responseJsonSchema` and `parametersJsonSchema` may have. Those of the last line
are in recorded requests that Google has answered."""

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

    def build_settings(self, url: str) -> dict[str, Any]:
        return {"PRESET": "gemini", "BASE_URL": url, "API_KEY": KEY}

    def can_think(self, model: str) -> bool:
        return True

    def parse_request(self, received: Received) -> ModelInput:
        body = received.body
        require(received.headers.get("x-goog-api-key") == KEY, "API key not valid")
        url = re.fullmatch(
            r".*/models/([\w.-]+):(generateContent|streamGenerateContent\?alt=sse)", received.path
        )
        require(url, "no such URL")
        assert url
        self.is_generation_3 = url[1].startswith("gemini-3")
        check_members(body, *BODY_FIELDS, path="body")
        model_input = ModelInput([], stream=url[2].startswith("stream"))
        model_input.system = "".join(
            part["text"] for part in body.get("systemInstruction", {"parts": ()})["parts"]
        )
        self._read_tools(body, model_input)
        config = body.get("generationConfig", {})
        check_members(config, *CONFIG_FIELDS, path="generationConfig")
        model_input.wants_thinking = config.get("thinkingConfig", {}).get("includeThoughts", False)
        if config.get("responseMimeType") == "application/json":
            require(
                self.is_generation_3 or not model_input.tools,
                "Function calling with a response mime type: 'application/json' is unsupported",
            )
            model_input.schema = config.get("responseJsonSchema", {})
            check_schema(model_input.schema)
        for content in body["contents"]:
            self._read_content(content, model_input)
        require(model_input.turns[0].text, "contents must begin with the user")
        require(not model_input.turns[-1].calls, "function response parts are missing")
        return model_input

    def _read_tools(self, body: dict[str, Any], model_input: ModelInput) -> None:
        for tool in body.get("tools", ()):
            check_members(tool, "functionDeclarations", "googleSearch", path="tools")
            for function in tool.get("functionDeclarations", ()):
                check_members(
                    function,
                    "name",
                    "description",
                    "parameters",
                    "parametersJsonSchema",
                    path="functionDeclarations",
                )
                require(
                    re.fullmatch(r"[a-zA-Z_][\w.:-]{0,63}", function["name"]),
                    "Invalid function name",
                )
                check_schema(function.get("parametersJsonSchema", {}))
                model_input.tools[function["name"]] = function
        config = body.get("toolConfig", {}).get("functionCallingConfig", {"mode": "AUTO"})
        require(config["mode"] in ("AUTO", "ANY", "NONE", "VALIDATED"), "mode: unknown")
        names = config.get("allowedFunctionNames", [])
        require(set(names) <= set(model_input.tools), "allowedFunctionNames: not declared")
        if config["mode"] == "ANY":
            model_input.must_call = names[0] if len(names) == 1 else ANY_TOOL

    def _read_content(self, content: dict[str, Any], model_input: ModelInput) -> None:
        check_members(content, "role", "parts", path="contents")
        require(content["parts"], "contents.parts must not be empty")
        turn = Turn(content["role"])
        require(turn.role in ("user", "model"), "Please use a valid role: user, model")
        previous = model_input.turns[-1] if model_input.turns else Turn("user")
        for part in content["parts"]:
            self._read_part(part, turn, previous)
        require(
            [call.id for call in previous.calls] == [result.call_id for result in turn.results],
            "the number of function response parts must equal the number of function call parts",
        )
        require(not turn.results or not turn.text, "function response parts must be alone")
        if turn.calls and self.is_generation_3:
            first = next(part for part in content["parts"] if "functionCall" in part)
            require(
                "thoughtSignature" in first,
                "Function call is missing a thought_signature in functionCall parts",
            )
        model_input.turns.append(turn)

    def _read_part(self, part: dict[str, Any], turn: Turn, previous: Turn) -> None:
        check_members(
            part,
            "text",
            "thought",
            "thoughtSignature",
            "functionCall",
            "functionResponse",
            path="parts",
        )
        if "functionCall" in part:
            call = part["functionCall"]
            check_members(call, "id", "name", "args", path="functionCall")
            require(turn.role == "model", "a function call must be the model's")
            call_id = call.get("id") or f"{call['name']}/{len(turn.calls)}"
            turn.calls.append(Call(call["name"], call.get("args", {}), call_id))
            self._check_signature(part, turn, call["name"])
        elif "functionResponse" in part:
            result = part["functionResponse"]
            check_members(result, "id", "name", "response", "parts", path="functionResponse")
            index = len(turn.results)
            require(index < len(previous.calls), "a function response without its call")
            call = previous.calls[index]
            require(
                result["name"] == call.name, "a function response has another name than its call"
            )
            require(isinstance(result["response"], dict), "response must be a Struct")
            turn.results.append(Result(call.id, json.dumps(result["response"])))
        elif part.get("thought"):
            turn.thoughts.append(part["text"])
        else:
            turn.text += part["text"]
            self._check_signature(part, turn, part["text"])

    def _check_signature(self, part: dict[str, Any], turn: Turn, signed_text: str) -> None:
        signature = part.get("thoughtSignature")
        if signature not in (None, SIGNATURE_BYPASS):
            require(signature == sign(signed_text), "Corrupted thought signature")
            turn.thoughts.append(signed_text)

    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        content = {"role": "model", "parts": build_parts(model_input, output)}
        return {
            **build_head(),
            "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
            "usageMetadata": USAGE,
        }

    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        for part in build_parts(model_input, output):
            for piece in cut_part(part):
                content = {"role": "model", "parts": [piece]}
                candidate = {"index": 0, "content": content}
                yield build_event({**build_head(), "candidates": [candidate]})
        last = {
            "index": 0,
            "content": {"role": "model", "parts": [{"text": ""}]},
            "finishReason": "STOP",
        }
        yield build_event({**build_head(), "candidates": [last], "usageMetadata": USAGE})

    def build_error(self, problem: RequestRefused) -> Any:
        return {
            "error": {"code": problem.status, "message": str(problem), "status": "INVALID_ARGUMENT"}
        }


def check_schema(schema: Any) -> None:
    if isinstance(schema, list):
        for item in schema:
            check_schema(item)
    elif isinstance(schema, dict):
        require(
            schema.keys() <= SCHEMA_KEYWORDS,
            f"schema: unknown keyword {sorted(schema.keys() - SCHEMA_KEYWORDS)}",
        )
        for name in ("items", "anyOf", "oneOf", "prefixItems"):
            check_schema(schema.get(name))
        for name in ("properties", "$defs"):
            check_schema(list(schema.get(name, {}).values()))


def build_parts(model_input: ModelInput, output: ModelOutput) -> list[dict[str, Any]]:
    """The signature is on the first call or, without calls, on the text."""
    parts: list[dict[str, Any]] = []
    if model_input.wants_thinking and output.thought:
        parts.append({"text": output.thought, "thought": True})
    if output.text:
        signature = {} if output.calls else {"thoughtSignature": sign(output.text)}
        parts.append({"text": output.text, **signature})
    for index, call in enumerate(output.calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
        parts.append(part if index else {**part, "thoughtSignature": sign(call.name)})
    return parts


def cut_part(part: dict[str, Any]) -> list[dict[str, Any]]:
    """A part in the pieces of a stream. The signature comes last, on an empty text."""
    if "functionCall" in part:
        return [part]
    unsigned = {name: value for name, value in part.items() if name != "thoughtSignature"}
    cut = [{**unsigned, "text": piece} for piece in split_text(part["text"])]
    return [*cut, {**part, "text": ""}] if "thoughtSignature" in part else cut


def build_head() -> dict[str, Any]:
    return {"responseId": "response-1", "modelVersion": "gemini"}


def build_event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n"
