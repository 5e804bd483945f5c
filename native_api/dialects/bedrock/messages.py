"""Messages as Converse's `system` and `messages`. One `MessageTranslator` per request; rules first:

1. System and developer messages, wherever they stand, become `system` in their order; it takes text
   only.
2. Turns alternate. Results of tools are part of the user's turn and come first in it.
3. A `cache_control` becomes a cache point behind its block; on a tool's result, behind the whole
   result. Behind documents and videos Bedrock takes one only after a text.
4. A document needs a text beside it. No text is empty. A turn that holds nothing but reasoning is
   left out: models from Claude 5 on take it for a prefill and refuse it.
5. Some makers' models want tool results alone in their turn, or the user to speak first. A turn of
   one full stop is put there.
6. Ids of calls that another provider made are made to fit, the same way in the call and its result.
Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html (read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

import orjson

from native_api.dialects.bedrock.media import Media
from native_api.dialects.bedrock.models import ALONE, BEGINS_WITH_USER, CACHES, UNSIGNED, maker
from native_api.dialects.bedrock.replay import replay_turn
from native_api.dialects.shared.json_values import dump_json
from native_api.dialects.shared.parts import parse_data_url, read_parts
from native_api.dialects.shared.tools import parse_arguments, read_tool_calls
from native_api.exceptions import UnsupportedField
from native_api.types import Json

FITTING_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
MISTRAL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}|tooluse_[a-zA-Z0-9_.:-]{1,56}")
LONG_NUMBER: Final = re.compile(r"\d{16}")
"""Numbers in `json` are doubles, so results with longer ones stay the text they are."""
FILLER: Final = "."
BESIDE_DOCUMENT: Final = "See the attached document."


class MessageTranslator:
    """Collects `system` and the turns of one request, and what could not be said."""

    def __init__(self, model: str) -> None:
        self.system: list[Json] = []
        self.turns: list[Json] = []
        self.omitted: set[str] = set()
        self.called: dict[str, str] = {}
        """The tools that were called, by the ids of the calls."""
        self._maker = maker(model)
        self._media = Media()

    def add(self, messages: Sequence[Mapping[str, Any]]) -> None:
        for position, message in enumerate(messages):
            self._add(message, f"messages[{position}]")
        if not self.turns and self.system:
            # The wire needs a turn: instructions alone are what the user says.
            self.turns, self.system = [{"role": "user", "content": self.system}], []
        self.turns = [turn for whole in self.turns for turn in self._arranged(whole)]
        if self.turns and self.turns[0]["role"] == "assistant" and self._maker in BEGINS_WITH_USER:
            self.turns.insert(0, {"role": "user", "content": [{"text": FILLER}]})

    def _add(self, message: Mapping[str, Any], place: str) -> None:
        role = message["role"]
        if message.get("name") and role != "function":
            self.omitted.add("messages.name")
        if role in ("system", "developer"):
            self.system += self._blocks(message, place)
        elif role in ("tool", "function"):
            self._turn("user", self._result(message, place))
        elif role == "user":
            self._turn("user", self._blocks(message, place))
        else:
            self._turn("assistant", self._assistant(message, place))

    def _turn(self, role: str, blocks: list[Json]) -> None:
        if all("reasoningContent" in block for block in blocks):
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
        else:
            self.turns.append({"role": role, "content": blocks})

    # --- blocks ----------------------------------------------------------------------------------------------

    def _blocks(self, message: Mapping[str, Any], place: str) -> list[Json]:
        blocks: list[Json] = []
        for position, part in enumerate(read_parts(message)):
            block = self._block(part, f"{place}.content[{position}]")
            mark = self.cache_point(part)
            needs_text = mark and ("document" in block or "video" in block)
            blocks += [block, {"text": "\n"}, *mark] if needs_text else [block, *mark]
        return blocks

    def _block(self, part: Mapping[str, Any], place: str) -> Json:
        if part["type"] == "text":
            return {"text": part["text"]}
        if (part.get("image_url") or {}).get("detail") in ("low", "high"):
            self.omitted.add("messages.image_url.detail")
        return self._media.block(part, place)

    def cache_point(self, marked: Mapping[str, Any], beside: str = "messages") -> list[Json]:
        """The cache point that a part or a tool asks for; none where the model takes none, which is
        reported."""
        control = marked.get("cache_control")
        if not control:
            return []
        is_nova = self._maker == "amazon"
        if self._maker not in CACHES or (is_nova and beside == "tools"):
            self.omitted.add(f"{beside}.cache_control")
            return []
        point: Json = {"type": "default"}
        if control.get("ttl") and not is_nova:
            point["ttl"] = control["ttl"]
        elif control.get("ttl", "5m") != "5m":
            self.omitted.add(f"{beside}.cache_control.ttl")
        return [{"cachePoint": point}]

    def _assistant(self, message: Mapping[str, Any], place: str) -> list[Json]:
        if message.get("audio"):
            raise UnsupportedField(
                f"{place}.audio",
                "this provider takes no sound of the assistant; send the transcript as content",
            )
        calls = [self._call(call) for call in read_tool_calls(message)]
        return replay_turn(
            message, _images(message), calls, self._maker not in UNSIGNED, self.cache_point
        )

    def _call(self, call: Mapping[str, Any]) -> Json:
        function = call.get("function") or {
            "name": call["custom"]["name"],
            "arguments": call["custom"]["input"],
        }
        call_id = self._fitting(call["id"])
        self.called[call_id] = function["name"]
        return {
            "toolUse": {
                "toolUseId": call_id,
                "name": function["name"],
                "input": parse_arguments(function["arguments"]),
            }
        }

    def _fitting(self, call_id: str) -> str:
        """An id that the wire takes: the same one where it can be, else one made from it."""
        if self._maker == "mistral":
            return (
                call_id
                if MISTRAL_ID.fullmatch(call_id)
                else sha256(call_id.encode()).hexdigest()[:9]
            )
        return (
            call_id
            if FITTING_ID.fullmatch(call_id)
            else f"call_{sha256(call_id.encode()).hexdigest()[:32]}"
        )

    def _result(self, message: Mapping[str, Any], place: str) -> list[Json]:
        blocks = self._blocks(message, place)
        marks = [block for block in blocks if "cachePoint" in block]
        content = [self._in_result(block) for block in blocks if "cachePoint" not in block] or [
            {"text": ""}
        ]
        told: Json = {
            "toolUseId": self._fitting(message.get("tool_call_id") or message["name"]),
            "content": content,
        }
        if message.get("is_error") and self._maker == "writer":
            self.omitted.add("messages.is_error")
        elif message.get("is_error"):
            told["status"] = "error"
        return [{"toolResult": told}, *marks[-1:]]

    def _in_result(self, block: Json) -> Json:
        """Mistral's models read a result that is an object as one; text is what all others take."""
        text = block.get("text") or ""
        if self._maker == "mistral" and text.startswith("{") and not LONG_NUMBER.search(text):
            try:
                return {"json": orjson.loads(text)}
            except orjson.JSONDecodeError:
                return block
        return block

    # --- turns as their models take them ---------------------------------------------------------------------

    def _arranged(self, turn: Json) -> list[Json]:
        """One turn, or the turns that it has to be for this model."""
        if turn["role"] != "user":
            return [turn]
        results: list[Json] = []
        others: list[Json] = []
        for position, block in enumerate(turn["content"]):
            (results if _is_result(turn["content"], position) else others).append(block)
        others = _with_text(others)
        if results and others and self._wants_apart(others):
            answer = {"role": "assistant", "content": [{"text": FILLER}]}
            return [
                {"role": "user", "content": results},
                answer,
                {"role": "user", "content": others},
            ]
        return [{"role": "user", "content": results + others}]

    def _wants_apart(self, others: list[Json]) -> bool:
        has_files = any("document" in block or "video" in block for block in others)
        return self._maker in ALONE or (self._maker == "anthropic" and has_files)


def _is_result(blocks: list[Json], position: int) -> bool:
    """Whether a block is a tool's result, or the cache point behind one."""
    if "cachePoint" in blocks[position]:
        return position > 0 and "toolResult" in blocks[position - 1]
    return "toolResult" in blocks[position]


def _with_text(blocks: list[Json]) -> list[Json]:
    if any("document" in block for block in blocks) and not any(
        "text" in block for block in blocks
    ):
        return [{"text": BESIDE_DOCUMENT}, *blocks]
    return blocks


def _images(message: Mapping[str, Any]) -> list[Json]:
    """Images that the model made in an earlier turn."""
    inline = (
        parse_data_url((image.get("image_url") or {}).get("url") or "")
        for image in message.get("images") or ()
    )
    return [
        {"image": {"format": image.media_type.partition("/")[2], "source": {"bytes": image.data}}}
        for image in inline
        if image
    ]


def in_words(turns: list[Json], called: Mapping[str, str]) -> list[Json]:
    """The turns with calls of tools and their results told in words, for a request that lets the
    model call none.

    Converse refuses such blocks where no tools are offered, and knows no way to offer tools that
    must not be called.
    """
    return [
        {
            "role": turn["role"],
            "content": [told for block in turn["content"] for told in _told(block, called)],
        }
        for turn in turns
    ]


def _told(block: Json, called: Mapping[str, str]) -> list[Json]:
    if "toolUse" in block:
        use = block["toolUse"]
        return [{"text": f"Called {use['name']} with {dump_json(use['input'])}"}]
    if "toolResult" in block:
        result = block["toolResult"]
        head = f"{'Error' if result.get('status') == 'error' else 'Result'} of {called.get(result['toolUseId'], 'the call')}:"
        return [
            {"text": head},
            *(_plain(item) for item in result["content"] if item != {"text": ""}),
        ]
    return [block]


def _plain(item: Json) -> Json:
    return {"text": dump_json(item["json"])} if "json" in item else item
