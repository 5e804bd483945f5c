"""What clients of other servers write into messages, calls and tools, in the words of this API.
Done before the checks, so that providers of OpenAI's own wire get the same.

1. LiteLLM as a client keeps what it does not know of a reply in `provider_specific_fields`, and
   sends it back so. It is put back where it was: the signatures of a thinking model's turn are in
   there. `thinking_blocks` and `thought_signature` are LiteLLM's other names for them.
   https://docs.litellm.ai/docs/reasoning_content, and requests of LiteLLM 1.110 (2026-11).
2. `reasoning` is the `reasoning_content` of vLLM, OpenRouter, Groq and Ollama's /v1.
3. `cache_control` of a whole message is that of its last part; that of a function is its tool's.
4. `image_url` may be a string. A tool or a call may lack its type.
5. A member that is null says as much as none, and many providers refuse it. SDKs of several
   vendors write them: huggingface_hub sends `name` and `tool_calls` of every message as null.
6. Members that only say something to the client that wrote them (ids, states) are left out, since
   most providers refuse them, and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from native_api.dialects.shared.issuers import MARK
from native_api.dialects.shared.json_values import replace_items
from native_api.types import Json

WRAPPED: Final = "provider_specific_fields"
REPLY_MEMBERS: Final = frozenset(
    {
        "reasoning_content", "reasoning", "reasoning_details", "provider_content",
        "thinking_blocks", "annotations", "images", "refusal",
    }
)  # fmt: skip
"""Members of a reply's message that LiteLLM may wrap."""
CALL_MEMBERS: Final = frozenset({"extra_content", "thought_signature", "caller"})
"""The same of a call."""

FOREIGN_MEMBERS: Final = frozenset({WRAPPED, "thinking_blocks", "reasoning", "cache_control", "id"})
FOREIGN_IN_CALLS: Final = frozenset({WRAPPED, "thought_signature", "caller", "status"})
FOREIGN_IN_PARTS: Final = frozenset({"id", "annotations"})
FOREIGN_IN_OBJECTS: Final[Mapping[str, frozenset[str]]] = {
    "image_url": frozenset({"mime_type", "format"}),
    "video_url": frozenset({"mime_type", "format"}),
    "audio_url": frozenset({"mime_type", "format"}),
    "input_audio": frozenset(),
    "file": frozenset({"mime_type", "format"}),
}
"""Type of a part -> what the object of the same name may have on other servers."""
NULLABLE_MEMBERS: Final = frozenset({"content", "refusal", "audio", "function_call"})
"""Members of a model's message that may be null at OpenAI."""
URL_PARTS: Final = frozenset({"image_url", "video_url", "audio_url"})


def adapt_members(data: Json) -> tuple[Json, list[str]]:
    """The request in this API's words, and the names of the members that were left out.

    `data` is not changed, and is returned itself if there is nothing to adapt. What has another
    shape than it should is left for the checks to refuse.
    """
    adapter = _Adapter()
    adapted = {
        name: _adapt_items(data[name], adapt)
        for name, adapt in (("messages", adapter.adapt_message), ("tools", _adapt_tool))
        if name in data
    }
    if all(data[name] is value for name, value in adapted.items()):
        return data, []
    return {**data, **adapted}, sorted(adapter.left_out)


def _adapt_items(items: Any, adapt: Callable[[Json], Json]) -> Any:
    """A list with its objects adapted; the list itself if none of them has changed."""
    if not isinstance(items, list):
        return items
    adapted = [adapt(item) if isinstance(item, dict) else item for item in items]
    return replace_items(items, adapted)


def _replace(owner: Json, name: str, adapt: Callable[[Json], Json]) -> Json:
    """The owner with the objects in one of its lists adapted."""
    items = owner.get(name)
    adapted = _adapt_items(items, adapt)
    return owner if adapted is items else {**owner, name: adapted}


class _Adapter:
    """Collects in `left_out` the names of the members that were left out."""

    def __init__(self) -> None:
        self.left_out: set[str] = set()

    def adapt_message(self, message: Json) -> Json:
        is_answer = message.get("role") == "assistant"
        message = _drop_nulls(message, NULLABLE_MEMBERS if is_answer else ("content",))
        if message.get("content").__class__ is list:
            message = _replace(message, "content", self._adapt_part)
        if message.get("tool_calls"):
            message = _replace(message, "tool_calls", self._adapt_call)
        if FOREIGN_MEMBERS.isdisjoint(message):
            return message
        adapted = dict(message)
        if is_answer:
            self._unwrap(adapted, REPLY_MEMBERS, "messages")
            _restore_reasoning(adapted)
        _mark_last_part(adapted)
        return self._leave_out(adapted, FOREIGN_MEMBERS - {"reasoning"}, "messages")

    def _adapt_call(self, call: Json) -> Json:
        call = _drop_nulls_below(_drop_nulls(call), "function", "custom")
        if FOREIGN_IN_CALLS.isdisjoint(call) and "type" in call and not _wraps(call):
            return call
        adapted = _name_type(dict(call), "function", "custom")
        self._unwrap(adapted, CALL_MEMBERS, "messages.tool_calls")
        if _wraps(call):
            adapted["function"] = function = dict(call["function"])
            self._unwrap(function, CALL_MEMBERS, "messages.tool_calls.function")
            for name in CALL_MEMBERS & function.keys():
                adapted.setdefault(name, function.pop(name))
        _restore_extra_content(adapted)
        return self._leave_out(adapted, FOREIGN_IN_CALLS, "messages.tool_calls")

    def _adapt_part(self, part: Json) -> Json:
        kind = part.get("type")
        if kind == "text" and len(part) == 2:
            return part
        part = _drop_nulls(part)
        adapted = self._leave_out(part, FOREIGN_IN_PARTS, "messages.content")
        if not isinstance(kind, str) or kind not in FOREIGN_IN_OBJECTS:
            return adapted
        inner, foreign = part.get(kind), FOREIGN_IN_OBJECTS[kind]
        if isinstance(inner, str) and kind in URL_PARTS:
            return {**adapted, kind: {"url": inner}}
        if not isinstance(inner, dict):
            return adapted
        known = self._leave_out(_drop_nulls(inner), foreign, f"messages.content.{kind}")
        return adapted if known is inner else {**adapted, kind: known}

    def _unwrap(self, owner: Json, known: Collection[str], place: str) -> None:
        """Put what LiteLLM has wrapped back into `owner`, unless it is there already."""
        wrapped = owner.get(WRAPPED)
        if not isinstance(wrapped, dict):
            return
        for name, value in wrapped.items():
            if value is None:
                continue
            if name in known and owner.get(name) is None:
                owner[name] = value
            elif name not in known:
                self.left_out.add(f"{place}.{WRAPPED}")
        del owner[WRAPPED]

    def _leave_out(self, owner: Json, names: Collection[str], place: str) -> Json:
        """`owner` without these members. Those that say something are reported."""
        foreign = [name for name in names if name in owner]
        self.left_out.update(f"{place}.{name}" for name in foreign if owner[name] is not None)
        if not foreign:
            return owner
        return {name: value for name, value in owner.items() if name not in foreign}


def _wraps(call: Json) -> bool:
    """Whether LiteLLM has wrapped something in the function of a call."""
    function = call.get("function")
    return isinstance(function, dict) and WRAPPED in function


def _restore_reasoning(message: Json) -> None:
    """Give the reasoning of an assistant's message its unified names."""
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks):
        del message["thinking_blocks"]
        if message.get("reasoning_details") is None:
            details = [_build_detail(block, index) for index, block in enumerate(blocks)]
            message["reasoning_details"] = details
    text = message.get("reasoning")
    if isinstance(text, str | None) and "reasoning" in message:
        del message["reasoning"]
        if text and not message.get("reasoning_content"):
            message["reasoning_content"] = text


def _build_detail(block: Json, index: int) -> Json:
    """The unified form of one of Anthropic's blocks of thinking."""
    frame: Json = {"format": "anthropic", "index": index}
    if block.get(MARK):
        frame[MARK] = block[MARK]
    if block.get("type") == "redacted_thinking":
        return {"type": "reasoning.encrypted", "data": block.get("data"), **frame}
    signature = block.get("signature")
    return {
        "type": "reasoning.text",
        "text": block.get("thinking"),
        **({"signature": signature} if signature else {}),
        **frame,
    }


def _restore_extra_content(call: Json) -> None:
    """Put what belongs to a call where a reply of the gateway has it."""
    extra = call.get("extra_content")
    extra = dict(extra) if isinstance(extra, dict) else {}
    if isinstance(call.get("thought_signature"), str):
        extra.setdefault("google", {"thought_signature": call.pop("thought_signature")})
    if isinstance(call.get("caller"), dict):
        extra.setdefault("anthropic", {"caller": call.pop("caller")})
    if extra:
        call["extra_content"] = extra


def _mark_last_part(message: Json) -> None:
    """Move the `cache_control` of a message to its last part, if it has text or parts."""
    control, content = message.get("cache_control"), message.get("content")
    if control is None or not content or message.get("role") == "function":
        return
    if isinstance(content, str):
        message["content"] = [{"type": "text", "text": content, "cache_control": control}]
    elif isinstance(content, list) and isinstance(content[-1], dict):
        message["content"] = [*content[:-1], {"cache_control": control, **content[-1]}]
    else:
        return
    del message["cache_control"]


def _drop_nulls(owner: Json, kept: Collection[str] = ()) -> Json:
    """`owner` without its members that are null, except for the `kept` ones."""
    if None not in owner.values():
        return owner
    left = {name: value for name, value in owner.items() if value is not None or name in kept}
    return owner if len(left) == len(owner) else left


def _drop_nulls_below(owner: Json, *names: str) -> Json:
    """`owner` without the null members of the objects in it that have these names."""
    for name in names:
        inner = owner.get(name)
        if isinstance(inner, dict) and (left := _drop_nulls(inner)) is not inner:
            owner = {**owner, name: left}
    return owner


def _adapt_tool(tool: Json) -> Json:
    tool = _drop_nulls_below(_drop_nulls(tool), "function", "custom")
    function = tool.get("function")
    marked = isinstance(function, dict) and "cache_control" in function
    if "type" in tool and not marked:
        return tool
    adapted = _name_type(dict(tool), "function", "custom")
    if isinstance(function, dict) and marked:
        adapted["function"] = function = dict(function)
        control = function.pop("cache_control")
        if adapted.get("cache_control") is None and control is not None:
            adapted["cache_control"] = control
    return adapted


def _name_type(item: Json, *kinds: str) -> Json:
    """Give an object the type that its members show, if it has none."""
    kind = next((kind for kind in kinds if isinstance(item.get(kind), dict)), None)
    if item.get("type") is None and kind is not None:
        item["type"] = kind
    return item
