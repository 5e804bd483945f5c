"""Messages as Gemini's `contents` and `systemInstruction`. One `MessageTranslator` per request; rules
first:

1. System and developer messages, wherever they stand, become `systemInstruction` in their order; it
   takes text only.
2. Roles are `user` and `model`. Consecutive turns of one role are one turn, but tool results stand
   alone in theirs.
3. Results of one step's calls come in one turn, in the order of the calls, with the call's name and
   id.
4. A thought signature goes back on the part it came with. A first call of a step that lost its
   signature gets Google's documented bypass on generation 3 and later, which otherwise answer 400
   (https://ai.google.dev/gemini-api/docs/thought-signatures#faqs, read 2026-11).
5. A user's message that says nothing is left out; a model's turn that said nothing stays one.
6. A conversation begins with the user: one that does not gets an empty turn first, without which a
   call is refused.
7. Empty text is told as a blank at Vertex AI, which refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from native_api.dialects.gemini.parts import Media, inline
from native_api.dialects.gemini.replay import FORMAT, replay_turn
from native_api.dialects.shared.provider_content import read_own_blocks
from native_api.dialects.shared.tools import parse_arguments
from native_api.exceptions import UnsupportedField
from native_api.types import Json

BYPASS: Final = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""`skip_thought_signature_validator` in base64, as all signatures are."""

LONG_NUMBER: Final = re.compile(r"\d{16}")
"""Google reads JSON numbers as doubles, so results with longer ones go as the text they are."""


class MessageTranslator:
    """Collects the turns of one request. `number` is the model's generation, `empty` what stands
    for no text."""

    def __init__(self, media: Media, number: float, empty: str = "") -> None:
        self.turns: list[Json] = []
        self.system: list[Json] = []
        self.omitted: set[str] = set()
        self._media = media
        self._number = number
        self._nothing = {"text": empty}
        self._calls: dict[str, tuple[int, str]] = {}
        self._count = 0
        self._results: list[tuple[int, Json]] = []
        self._attached: list[Json] = []

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for position, message in enumerate(messages):
            self._add(message, f"messages[{position}]")
        self._end_results()
        if self.turns and self.turns[0]["role"] == "model":
            self.turns.insert(0, {"role": "user", "parts": [self._nothing]})
        if not self.turns and self.system:
            # The wire needs a turn: instructions alone are what the user says.
            self.turns, self.system = [{"role": "user", "parts": self.system}], []

    def _add(self, message: Mapping[str, Any], place: str) -> None:
        role = message["role"]
        if role in ("system", "developer"):
            self.system += self._said(message, place)
        elif role in ("tool", "function"):
            self._result(message, place)
        else:
            self._end_results()
            is_user = role == "user"
            parts = self._said(message, place) if is_user else self._assistant(message, place)
            self._turn("user" if is_user else "model", parts)
        if message.get("name") and role in ("system", "developer", "user", "assistant"):
            self.omitted.add("messages.name")

    def _said(self, message: Mapping[str, Any], place: str) -> list[Json]:
        return [*self._parts(message.get("content"), place), *read_own_blocks(message, FORMAT)]

    def _turn(self, role: str, parts: list[Json]) -> None:
        if not parts:
            return
        last = self.turns[-1] if self.turns else None
        if last and last["role"] == role and "functionResponse" not in last["parts"][-1]:
            last["parts"] += parts
        else:
            self.turns.append({"role": role, "parts": parts})

    def _parts(self, content: Any, place: str) -> list[Json]:
        if isinstance(content, str):
            return [{"text": content}] if content else []
        return [
            self._part(part, place, position)
            for position, part in enumerate(content or ())
            if part.get("text") != ""
        ]

    def _part(self, part: Json, place: str, position: int) -> Json:
        if part.get("type") == "text":
            return {"text": part["text"]}
        if part.get("image_url", {}).get("detail") in ("low", "high"):
            self.omitted.add("messages.image_url.detail")
        return self._media.part(part, f"{place}.content[{position}]")

    # --- the model's turns ---------------------------------------------------------------------------------

    def _assistant(self, message: Mapping[str, Any], place: str) -> list[Json]:
        calls = [self._call(call, place) for call in message.get("tool_calls") or ()]
        if message.get("function_call"):
            calls.append(self._call({"function": message["function_call"]}, place))
        if calls and self._number >= 3:
            calls[0].setdefault("thoughtSignature", BYPASS)
        return replay_turn(message, [*_images(message), *self._audio(message, place)], calls) or [
            self._nothing
        ]

    def _call(self, call: Json, place: str) -> Json:
        custom = call.get("custom")
        name = (custom or call["function"])["name"]
        told: Json = {
            "name": name,
            "args": {"input": custom["input"]}
            if custom
            else parse_arguments(call["function"]["arguments"]),
        }
        if call.get("id"):
            told["id"] = call["id"]
            self._calls[call["id"]] = (self._count, name)
        self._count += 1
        return _signed({"functionCall": told}, call)

    def _audio(self, message: Mapping[str, Any], place: str) -> list[Json]:
        audio = message.get("audio")
        if not audio:
            return []
        if not audio.get("data"):
            raise UnsupportedField(
                f"{place}.audio",
                "this provider keeps no audio; send its data, or the transcript as content",
            )
        return [
            {
                "inlineData": {
                    "mimeType": audio.get("mime_type") or "audio/L16;codec=pcm;rate=24000",
                    "data": audio["data"],
                }
            }
        ]

    # --- tool results --------------------------------------------------------------------------------------

    def _result(self, message: Mapping[str, Any], place: str) -> None:
        call_id = message.get("tool_call_id")
        order, name = self._calls.get(call_id or "", (self._count, message.get("name")))
        if not name:
            raise UnsupportedField(
                f"{place}.tool_call_id",
                "no earlier tool call has this id, and the provider needs its name",
            )
        told: Json = {"name": name}
        if call_id:
            told["id"] = call_id
        parts = self._said(message, place)
        text = "".join(part["text"] for part in parts if "text" in part)
        files = [part for part in parts if "text" not in part]
        told["response"] = (
            {"error": text} if message.get("is_error") else _outcome(text, bool(files))
        )
        self._attach(told, files)
        self._results.append((order, {"functionResponse": told}))

    def _attach(self, told: Json, files: list[Json]) -> None:
        """Files of a result: inside it from generation 3 on, before that in a turn of the user's,
        said to belong to it."""
        if files and self._number >= 3:
            told["parts"] = files
        elif files:
            belongs = f"{told['name']} ({told['id']})" if told.get("id") else told["name"]
            self._attached += [{"text": f"From the result of {belongs}:"}, *files]

    def _end_results(self) -> None:
        if self._results:
            self.turns.append(
                {"role": "user", "parts": [part for _, part in sorted(self._results, key=_order)]}
            )
            self._turn("user", self._attached)
            self._results, self._attached = [], []


def _order(result: tuple[int, Json]) -> int:
    return result[0]


def _signed(part: Json, source: Mapping[str, Any]) -> Json:
    signature = ((source.get("extra_content") or {}).get("google") or {}).get("thought_signature")
    return {**part, "thoughtSignature": signature} if signature else part


def _outcome(text: str, has_files: bool) -> Json:
    """A result as the object the wire wants: a JSON object as it is, other JSON or text under
    `output`."""
    if text[:1] in ("{", "[") and not LONG_NUMBER.search(text):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {"output": text}
        return value if isinstance(value, dict) else {"output": value}
    return {} if has_files and not text else {"output": text}


def _images(message: Mapping[str, Any]) -> list[Json]:
    """Images that the model made in an earlier turn."""
    urls = (
        (image, (image.get("image_url") or {}).get("url") or "")
        for image in message.get("images") or ()
    )
    return [
        _signed({"inlineData": inline(url)}, image)
        for image, url in urls
        if url.startswith("data:")
    ]
