"""Messages as Gemini's `contents` and `systemInstruction`. Rules:

1. System and developer messages, wherever they are, become `systemInstruction` in their order. It
   takes only text.
2. Roles are `user` and `model`. Consecutive messages of one role are one turn, but tool results
   have a turn of their own.
3. The results of one step's calls are sent in one turn, in the order of the calls, each with its
   call's name and id.
4. A thought signature is sent back on the part that it came with. If the first call of a step lost
   its signature, it gets the bypass that Google documents, because generation 3 and later answer
   400 without one (https://ai.google.dev/gemini-api/docs/thought-signatures#faqs, read 2026-11).
5. An empty user message is left out, unless there is no other. An empty assistant message stays a
   turn; one that holds only thoughts was cut before its answer, and is left out.
6. A conversation begins with the user. If it does not, an empty user turn is put first, because
   Gemini would refuse a call.
7. Empty text is sent to Vertex AI as a blank, because Vertex AI refuses it.
8. A result that contains a key `$ref` is sent as text, because Google takes the key for a reference
   to one of the result's files (https://github.com/vercel/ai/issues/14369, 2026-04).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from native_api.dialects.gemini.parts import PartTranslator, build_inline_data
from native_api.dialects.gemini.replay import WIRE, replay_turn
from native_api.dialects.shared.call_extras import read_extras
from native_api.dialects.shared.json_schema import walk_containers
from native_api.dialects.shared.parts import FILLER_TEXT
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.dialects.shared.tools import parse_arguments
from native_api.exceptions import UnsupportedField
from native_api.types import Json

SIGNATURE_BYPASS: Final = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""`skip_thought_signature_validator` in base64, as all signatures are."""

DEFAULT_AUDIO_TYPE: Final = "audio/L16;codec=pcm;rate=24000"
"""The audio that Gemini's voices produce."""

LONG_NUMBER: Final = re.compile(r"\d{16}")
"""Google reads JSON numbers as doubles, so results with longer numbers are sent as text."""

INSTRUCTION_ROLES: Final = ("system", "developer")
NAMED_ROLES: Final = ("system", "developer", "user", "assistant")
"""Roles whose messages may have a `name`, which Gemini cannot express."""


class MessageTranslator:
    """Collects the turns of one request. `generation` is the model's, `empty_text` stands for a
    message without content."""

    def __init__(
        self, part_translator: PartTranslator, generation: float, empty_text: str = ""
    ) -> None:
        self.turns: list[Json] = []
        self.system: list[Json] = []
        self.omitted: set[str] = set()
        self._part_translator = part_translator
        self._generation = generation
        self._empty_part = {"text": empty_text}
        self._calls: dict[str, tuple[int, str]] = {}
        """Tool call id -> the call's index in the conversation and its function's name."""
        self._call_count = 0
        self._results: list[tuple[int, Json]] = []
        """The results of the current step, each with its call's index."""
        self._result_files: list[Json] = []

    def translate(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for index, message in enumerate(messages):
            self._add_message(message, f"messages[{index}]")
        self._flush_results()
        if self.turns and self.turns[0]["role"] == "model":
            self.turns.insert(0, {"role": "user", "parts": [self._empty_part]})
        if not self.turns:
            # Gemini requires a turn, so instructions alone are sent as the user's.
            parts = self.system or [{"text": FILLER_TEXT}]
            self.turns, self.system = [{"role": "user", "parts": parts}], []

    def _add_message(self, message: Mapping[str, Any], path: str) -> None:
        role = message["role"]
        if role in INSTRUCTION_ROLES:
            self.system += self._build_content(message, path)
        elif role in ("tool", "function"):
            self._add_result(message, path)
        else:
            self._flush_results()
            if role == "user":
                self._add_turn("user", self._build_content(message, path))
            else:
                self._add_turn("model", self._build_model_parts(message, path))
        if message.get("name") and role in NAMED_ROLES:
            self.omitted.add("messages.name")

    def _add_turn(self, role: str, parts: list[Json]) -> None:
        if not parts:
            return
        last = self.turns[-1] if self.turns else None
        if last and last["role"] == role and "functionResponse" not in last["parts"][-1]:
            last["parts"] += parts
        else:
            self.turns.append({"role": role, "parts": parts})

    def _build_content(self, message: Mapping[str, Any], path: str) -> list[Json]:
        return [*self._build_parts(message.get("content"), path), *read_own_blocks(message, WIRE)]

    def _build_parts(self, content: Any, path: str) -> list[Json]:
        if isinstance(content, str):
            return [{"text": content}] if content else []
        return [
            {"text": part["text"]}
            if part.get("type") == "text"
            else self._build_part(part, f"{path}.content[{index}]")
            for index, part in enumerate(content or ())
            if part.get("text") != ""
        ]

    def _build_part(self, part: Json, path: str) -> Json:
        if part.get("image_url", {}).get("detail") in ("low", "high"):
            self.omitted.add("messages.image_url.detail")
        return self._part_translator.build_part(part, path)

    # --- the model's turns -----------------------------------------------------------------------

    def _build_model_parts(self, message: Mapping[str, Any], path: str) -> list[Json]:
        calls = [self._build_call(call) for call in message.get("tool_calls") or ()]
        if calls and self._generation >= 3:
            calls[0].setdefault("thoughtSignature", SIGNATURE_BYPASS)
        media = [*_build_images(message), *_build_audio(message, path)]
        parts = replay_turn(message, media, calls)
        if not parts and not message.get("reasoning_content"):
            return [self._empty_part]
        return [] if all(part.get("thought") for part in parts) else parts

    def _build_call(self, call: Json) -> Json:
        custom = call.get("custom")
        if custom:
            function_call: Json = {"name": custom["name"], "args": {"input": custom["input"]}}
        else:
            function = call["function"]
            function_call = {
                "name": function["name"],
                "args": parse_arguments(function["arguments"]),
            }
        if call.get("id"):
            function_call["id"] = call["id"]
            self._calls[call["id"]] = (self._call_count, function_call["name"])
        self._call_count += 1
        function_call = {**read_extras(call, WIRE), **function_call}
        return _restore_signature({"functionCall": function_call}, call)

    # --- tool results ----------------------------------------------------------------------------

    def _add_result(self, message: Mapping[str, Any], path: str) -> None:
        call_id = message.get("tool_call_id")
        call_index, name = self._calls.get(call_id or "", (self._call_count, message.get("name")))
        if not name:
            raise UnsupportedField(
                f"{path}.tool_call_id",
                "no earlier tool call has this id, and the provider needs its name",
            )
        result: Json = {"name": name}
        if call_id:
            result["id"] = call_id
        parts = self._build_content(message, path)
        text = "".join(part["text"] for part in parts if "text" in part)
        files = [part for part in parts if "text" not in part]
        result["response"] = (
            {"error": text} if message.get("is_error") else _build_response(text, bool(files))
        )
        self._attach_files(result, files)
        self._results.append((call_index, {"functionResponse": result}))

    def _attach_files(self, result: Json, files: list[Json]) -> None:
        """Generation 3 and later take the files of a result inside it. Earlier ones get them in a
        user turn after the results, with a text that says which result they belong to."""
        if files and self._generation >= 3:
            result["parts"] = files
        elif files:
            label = f"{result['name']} ({result['id']})" if result.get("id") else result["name"]
            self._result_files += [{"text": f"From the result of {label}:"}, *files]

    def _flush_results(self) -> None:
        """End a step: add the turn of its results, in the order of the calls."""
        if self._results:
            results = [part for _, part in sorted(self._results, key=_read_call_index)]
            self.turns.append({"role": "user", "parts": results})
            self._add_turn("user", self._result_files)
            self._results, self._result_files = [], []


def _read_call_index(result: tuple[int, Json]) -> int:
    return result[0]


def _restore_signature(part: Json, item: Mapping[str, Any]) -> Json:
    """The part with the thought signature that `tool_calls.attach_signature` put on the item."""
    signature = ((item.get("extra_content") or {}).get("google") or {}).get("thought_signature")
    return {**part, "thoughtSignature": signature} if signature else part


def _build_response(text: str, has_files: bool) -> Json:
    """A result as the object that Gemini requires: a JSON object as it is, other JSON or text under
    `output`."""
    if text[:1] in ("{", "[") and not LONG_NUMBER.search(text):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {"output": text}
        if _has_reference(value):
            return {"output": text}
        return value if isinstance(value, dict) else {"output": value}
    return {} if has_files and not text else {"output": text}


def _has_reference(value: Any) -> bool:
    """Whether any object in a value has a key `$ref`."""
    return any(isinstance(part, dict) and "$ref" in part for part in walk_containers(value))


def _build_images(message: Mapping[str, Any]) -> list[Json]:
    """The images that the model made in an earlier turn."""
    urls = (
        (image, (image.get("image_url") or {}).get("url") or "")
        for image in message.get("images") or ()
    )
    return [
        _restore_signature({"inlineData": build_inline_data(url)}, image)
        for image, url in urls
        if url.startswith("data:")
    ]


def _build_audio(message: Mapping[str, Any], path: str) -> list[Json]:
    """The audio that the model made in an earlier turn."""
    audio = message.get("audio")
    if not audio:
        return []
    if not audio.get("data"):
        raise UnsupportedField(
            f"{path}.audio",
            "this provider keeps no audio; send its data, or the transcript as content",
        )
    media_type = audio.get("mime_type") or DEFAULT_AUDIO_TYPE
    return [{"inlineData": {"mimeType": media_type, "data": audio["data"]}}]
