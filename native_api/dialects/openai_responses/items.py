"""The output items of one Responses reply as unified deltas, in whatever pieces they come. The
complete reply is items that come whole, so both agree. Source:
https://platform.openai.com/docs/api-reference/responses/object (read 2026-11).

A unified message has one text, the wire a list of items: messages, calls, reasoning, server tools.
So that the next turn can be put together as it was (`responses_replay`), what is kept beside the
text says where it stood, with numbers left out where they are 0: `at` counts the characters of
content before it, `calls` the tool calls, and a block's `reasoning` the reasoning details.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from native_api.dialects.shared.annotations import build_url_citation
from native_api.dialects.shared.json_values import read_objects
from native_api.types import Json

WIRE: Final = "openai_responses"

CALLS: Final = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
OF_CALL: Final = frozenset({"id", "type", "status", "call_id", "name", "arguments", "input"})
OF_MESSAGE: Final = frozenset({"id", "type", "role", "phase", "status"})
SHIFTED: Final = ("start_index", "end_index")


class Item:
    """How much of one output item has been told."""

    __slots__ = ("detail", "held", "here", "number", "reasoning", "said", "starts", "told")

    def __init__(self, here: Json, reasoning: int) -> None:
        self.here = here
        self.reasoning = reasoning
        self.number: int | None = None
        self.detail: dict[tuple[str, int], int] = {}
        self.said: dict[tuple[str, int], int] = {}
        self.starts: dict[int, int] = {}
        self.told: dict[tuple[str, int], int] = {}
        self.held = ""


class Output:
    """The state of one reply. Each method returns the delta that its piece means, empty where it
    says nothing new."""

    def __init__(self) -> None:
        self.calls = 0
        self.annotations: list[Json] = []
        self.logprobs: list[Json] = []
        self._length = 0
        self._details = 0
        self._blocks = 0
        self._has_thought = False
        self._items: dict[Any, Item] = {}
        self._keys: dict[str, Any] = {}
        self._done: set[Any] = set()

    def key(self, index: Any, item_id: Any) -> Any:
        """What an item is known by: its place in the output, or its id where a server tells no
        places."""
        if item_id and item_id in self._keys:
            return self._keys[item_id]
        key = item_id if index is None else index
        if item_id:
            self._keys[item_id] = key
        return key

    def item(self, key: Any) -> Item:
        """The item of a key; a first mention begins it."""
        found = self._items.get(key)
        if found is None:
            found = self._items[key] = Item(self._here(), self._details)
        return found

    def held(self) -> list[str]:
        """Arguments that came before the names of their calls."""
        return [item.held for item in self._items.values() if item.held]

    def _here(self) -> Json:
        here = {}
        if self._length:
            here["at"] = self._length
        if self.calls:
            here["calls"] = self.calls
        return here

    # --- messages ---------------------------------------------------------------------------------

    def text(self, item: Item, part: int, piece: str) -> Json:
        item.starts.setdefault(part, self._length)
        item.said["text", part] = item.said.get(("text", part), 0) + len(piece)
        self._length += len(piece)
        return {"content": piece} if piece else {}

    def refusal(self, item: Item, part: int, piece: str) -> Json:
        item.said["refusal", part] = item.said.get(("refusal", part), 0) + len(piece)
        return {"refusal": piece} if piece else {}

    def annotation(self, item: Item, part: int, told: Any) -> None:
        """Annotations leave together at the end: see `deltas`."""
        item.told["annotation", part] = item.told.get(("annotation", part), 0) + 1
        if isinstance(told, dict):
            self.annotations.append(annotation(told, item.starts.get(part, self._length)))

    def probable(self, item: Item, part: int, tokens: list[Json]) -> None:
        """Log probabilities leave with the choice, not with the delta."""
        item.told["logprobs", part] = item.told.get(("logprobs", part), 0) + len(tokens)
        self.logprobs += tokens

    def _message(self, item: Item, told: Json) -> Iterator[Json]:
        others = []
        for part, content in enumerate(read_objects(told.get("content"))):
            kind = content.get("type")
            if kind in ("output_text", "text"):
                yield from self._output_text(item, part, content)
            elif kind == "refusal":
                yield self.refusal(
                    item,
                    part,
                    (content.get("refusal") or "")[item.said.get(("refusal", part), 0) :],
                )
            else:
                others.append(content)
        if told.get("phase") or others:
            head = {
                name: told[name]
                for name in sorted(OF_MESSAGE & told.keys())
                if told[name] is not None
            }
            yield self._block(item, {**head, "content": others} if others else head)

    def _output_text(self, item: Item, part: int, content: Json) -> Iterator[Json]:
        text = content.get("text") or ""
        tokens = read_objects(content.get("logprobs"))
        if tokens and not item.told.get(("logprobs", part)):
            self.probable(item, part, tokens)
        yield self.text(item, part, text[item.said.get(("text", part), 0) :])
        for told in (content.get("annotations") or [])[item.told.get(("annotation", part), 0) :]:
            self.annotation(item, part, told)

    # --- tool calls -------------------------------------------------------------------------------

    def call(self, item: Item, told: Json) -> Json:
        """The first piece of a call: its id and name, and what came of its arguments before
        them."""
        kind, key = CALLS[told["type"]]
        if item.number is not None:
            return {}
        item.number, self.calls = self.calls, self.calls + 1
        call_id = told.get("call_id") or told.get("id") or f"call_{item.number}"
        words, item.held = item.held, ""
        piece: Json = {
            "index": item.number,
            "id": call_id,
            "type": kind,
            kind: {"name": told.get("name") or "", key: words},
        }
        extra = {
            name: value for name, value in told.items() if name not in OF_CALL and value is not None
        }
        if extra:
            piece["extra_content"] = {WIRE: extra}
        return {"tool_calls": [piece]}

    def words(self, item: Item, kind: str, piece: str) -> Json:
        """A piece of a call's arguments or input."""
        item.said["words", 0] = item.said.get(("words", 0), 0) + len(piece)
        if item.number is None:
            item.held += piece
            return {}
        name, key = CALLS[kind]
        return {"tool_calls": [{"index": item.number, name: {key: piece}}]} if piece else {}

    def _whole_call(self, item: Item, told: Json) -> Iterator[Json]:
        kind, key = CALLS[told["type"]]
        yield self.call(item, told)
        words = told.get(key)
        words = words if isinstance(words, str) else ""
        if kind == "function" and not words.strip() and not item.said.get(("words", 0)):
            words = "{}"
        yield self.words(item, told["type"], words[item.said.get(("words", 0), 0) :])

    # --- reasoning --------------------------------------------------------------------------------

    def thought(self, item: Item, item_id: str | None, kind: str, part: int, piece: str) -> Json:
        """A piece of a summary (`summary`) or of the reasoning itself (`text`)."""
        key = (kind, part)
        item.said[key] = item.said.get(key, 0) + len(piece)
        number = item.detail.get(key)
        if number is not None and not piece:
            return {}
        delta: Json = {"reasoning_content": piece} if piece else {}
        if number is not None:
            delta["reasoning_details"] = [{"index": number, kind: piece}]
            return delta
        if piece and self._has_thought:
            delta["reasoning_content"] = f"\n\n{piece}"  # each text is a paragraph of its own
        self._has_thought = self._has_thought or bool(piece)
        item.detail[key] = self._details
        return {**delta, **self._detail(item, {"type": f"reasoning.{kind}", kind: piece}, item_id)}

    def _detail(self, item: Item, told: Json, item_id: str | None) -> Json:
        detail = {**told, "format": WIRE, "index": self._details}
        if item_id:
            detail["id"] = item_id
        if self._details == item.reasoning:
            detail |= item.here
        self._details += 1
        return {"reasoning_details": [detail]}

    def _reasoning(self, item: Item, told: Json) -> Iterator[Json]:
        item_id = told.get("id")
        for kind, parts in (("summary", told.get("summary")), ("text", told.get("content"))):
            for part, content in enumerate(read_objects(parts)):
                yield self.thought(
                    item,
                    item_id,
                    kind,
                    part,
                    (content.get("text") or "")[item.said.get((kind, part), 0) :],
                )
        if told.get("encrypted_content"):
            yield self._detail(
                item, {"type": "reasoning.encrypted", "data": told["encrypted_content"]}, item_id
            )
        elif not item.detail and item_id:
            # A stored conversation is told by its items' ids alone.
            yield self._detail(item, {"type": "reasoning.summary", "summary": ""}, item_id)

    # --- everything else --------------------------------------------------------------------------

    def _block(self, item: Item, block: Json) -> Json:
        told: Json = {"format": WIRE, "index": self._blocks, "block": block, **item.here}
        if item.reasoning:
            told["reasoning"] = item.reasoning
        self._blocks += 1
        return {"provider_content": [told]}

    def whole(self, key: Any, told: Json) -> Iterator[Json]:
        """What of a finished item has not been told yet, as deltas; nothing for one that is
        finished already."""
        if key in self._done:
            return
        self._done.add(key)
        kind = told.get("type")
        item = self.item(key)
        if kind == "message":
            yield from self._message(item, told)
        elif kind in CALLS:
            yield from self._whole_call(item, told)
        elif kind == "reasoning":
            yield from self._reasoning(item, told)
        else:
            yield self._block(item, told)
            yield image(told)


def annotation(told: Json, start: int) -> Json:
    """OpenAI's nested `url_citation`. Positions count from the beginning of the whole content."""
    span = {name: told[name] + start for name in SHIFTED if isinstance(told.get(name), int)}
    if told.get("type") != "url_citation":
        return build_url_citation(told, span)
    return {
        "type": "url_citation",
        "url_citation": {name: value for name, value in {**told, **span}.items() if name != "type"},
    }


def image(told: Json) -> Json:
    """The picture of an `image_generation_call`, beside the item itself."""
    if told.get("type") != "image_generation_call" or not told.get("result"):
        return {}
    media_type = (
        "svg+xml" if told.get("output_format") == "svg" else told.get("output_format") or "png"
    )
    return {
        "images": [
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/{media_type};base64,{told['result']}"},
            }
        ]
    }
