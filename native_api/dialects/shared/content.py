"""How wires other than OpenAI's read unified messages: parts, data URLs, tool arguments. Shared by
the dialects."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

from native_api.dialects.shared.nesting import check_depth
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json

FORCED_TOOL: Final = "json_response"
"""The name of the tool that stands for `response_format` where a wire has no such thing. Clients
never see it."""


class DataURL(NamedTuple):
    """`data` is base64."""

    media_type: str
    data: str


def parts_of(message: Mapping[str, Any]) -> list[Json]:
    """The content as parts, whatever it was written as; empty texts are left out."""
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
    return [part for part in parts if part["type"] != "text" or part["text"]]


def text_of(message: Mapping[str, Any]) -> str:
    """All text of a message; parts are joined by line breaks."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part["type"] == "text")


def data_url(url: str) -> DataURL | None:
    """The inline data of a `data:` URL (RFC 2397), None for any other URL; text that is not base64
    is made so."""
    if not url.startswith("data:"):
        return None
    head, _, data = url[5:].partition(",")
    media_type, *attributes = head.split(";")
    if "base64" not in attributes:
        data = b64encode(unquote_to_bytes(data)).decode()
    return DataURL(media_type.lower() or "text/plain", data)


def file_data(file: Mapping[str, Any], place: str) -> DataURL | None:
    """The inline data of a `file`, whose `file_data` is a data URL or bare base64 of a PDF; None
    where it has none."""
    given = file.get("file_data")
    if not given:
        return None
    return data_url(given) or DataURL(media_type_of(file.get("filename") or "", place), given)


def decoded(data: str, place: str) -> str:
    """The text of a file that came as base64."""
    try:
        return b64decode(data, validate=True).decode()
    except ValueError:
        raise UnsupportedField(place, "the text is not UTF-8 in base64") from None


MEDIA_TYPES: Final = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
}


def media_type_of(filename: str, place: str) -> str:
    """By the name's ending; a name without one is taken for a PDF, as OpenAI does."""
    ending = filename.rpartition(".")[2].lower() if "." in filename else "pdf"
    if ending not in MEDIA_TYPES:
        raise UnsupportedField(
            place, f"give file_data as a data URL: the type of a .{ending[:20]} file is not known"
        )
    return MEDIA_TYPES[ending]


def arguments_of(text: str | None) -> Json:
    """A tool call's arguments as an object. Text that is no JSON object stays visible under
    `_raw`."""
    if not text or not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"_raw": text}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"_raw": text}


def calls_of(message: Mapping[str, Any]) -> list[Json]:
    """The function calls of an assistant message, the legacy `function_call` among them."""
    calls = list(message.get("tool_calls") or ())
    if message.get("function_call"):
        calls.append(
            {
                "id": message["function_call"]["name"],
                "type": "function",
                "function": message["function_call"],
            }
        )
    return calls


def functions_of(chat: ChatRequest, wire: str) -> list[Json]:
    """The function tools that may be called, as `{"function": …, "cache_control"?}`. Raises for
    tools of another kind.

    `tool_choice` of the kind `allowed_tools` is answered by offering just those.
    """
    tools = chat.get("tools") or []
    for position, tool in enumerate(tools):
        if tool["type"] != "function":
            raise UnsupportedField(f"tools[{position}].type", f"{wire} takes function tools only")
    allowed = _allowed_names(chat.get("tool_choice"))
    return [tool for tool in tools if allowed is None or tool["function"]["name"] in allowed]


def declared(function: Mapping[str, Any]) -> Json:
    """A function tool in OpenAI's shape, with what other servers know of it; one without parameters
    says so."""
    told: Json = {"name": function["name"]}
    if function.get("description"):
        told["description"] = function["description"]
    told["parameters"] = function.get("parameters") or {"type": "object", "properties": {}}
    return {"type": "function", "function": told}


def _allowed_names(choice: Any) -> set[str] | None:
    if not isinstance(choice, dict) or choice["type"] != "allowed_tools":
        return None
    return {
        (tool.get("function") or tool).get("name", "") for tool in choice["allowed_tools"]["tools"]
    }


def choice_of(chat: ChatRequest) -> tuple[str, str]:
    """`tool_choice` as a mode (`auto`, `required`, `none`, `function` or "" for none given) and the
    function's name."""
    choice = chat.get("tool_choice")
    if choice is None or isinstance(choice, str):
        return choice or "", ""
    if choice["type"] == "allowed_tools":
        return choice["allowed_tools"]["mode"], ""
    return "function", (choice.get("function") or choice.get("custom") or {}).get("name", "")


def wanted_schema(chat: ChatRequest) -> Json | None:
    """The JSON schema that the answer must have: `{}` for any JSON object, None where text is
    wanted."""
    wanted = chat.get("response_format") or {"type": "text"}
    if wanted["type"] == "json_schema":
        schema: Json = wanted["json_schema"].get("schema") or {}
        return schema
    return {} if wanted["type"] == "json_object" else None


def stops_of(chat: ChatRequest) -> list[str]:
    stop = chat.get("stop") or []
    return [stop] if isinstance(stop, str) else list(stop)


def limit_of(chat: ChatRequest) -> int | None:
    return chat.get("max_completion_tokens") or chat.get("max_tokens")


def check_modalities(chat: ChatRequest) -> None:
    """For wires that answer in text alone."""
    if set(chat.get("modalities") or ["text"]) != {"text"}:
        raise UnsupportedField("modalities", "this provider answers in text only")


def own_details(message: Mapping[str, Any], wire: str) -> list[Json]:
    """The reasoning that this wire made and wants back."""
    return [item for item in message.get("reasoning_details") or () if item.get("format") == wire]


NATIVE_FORMATS: Final = frozenset(
    {"anthropic", "bedrock", "cohere", "gemini", "ollama", "openai_responses"}
)
"""`format`s that a dialect of this package gives to what it made. Any other is a vendor's own
(OpenRouter, MiniMax)."""


def vendor_details(message: Mapping[str, Any]) -> list[Json]:
    """The reasoning that a vendor of OpenAI's family made and wants back."""
    return [
        item
        for item in message.get("reasoning_details") or ()
        if item.get("format") not in NATIVE_FORMATS
    ]


def own_blocks(message: Mapping[str, Any], wire: str) -> list[Json]:
    """The wire's own blocks, such as its server tools' calls and results, each a copy."""
    return [
        dict(item["block"])
        for item in message.get("provider_content") or ()
        if item.get("format") == wire and item.get("block")
    ]


def value_of(text: str) -> Any:
    """The value that a text of a reply says in JSON, `{}` for none; text that is not JSON stays
    what it is. Raises UpstreamError."""
    check_depth(text)
    try:
        return orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return text


def objects(value: Any) -> list[Json]:
    """The objects in what a provider sent where a list of them belongs."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def url_citation(told: Json, span: Mapping[str, int] | None = None) -> Json:
    """An annotation of any kind as OpenAI's `url_citation`: strict clients take no other. `source`
    is it as it came.

    The URL of a source without an address is empty.
    """
    file = told.get("file")
    title = (
        told.get("title")
        or told.get("filename")
        or (file.get("name") if isinstance(file, dict) else None)
    )
    place = {"start_index": 0, "end_index": 0, **(span or {})}
    place |= {
        name: told[name] for name in place if span is None and isinstance(told.get(name), int)
    }
    return {
        "type": "url_citation",
        "url_citation": {"url": "", "title": str(title or ""), **place, "source": told},
    }


def annotation_told(annotation: Json) -> Json:
    """What `url_citation` was made of; any other annotation as it is."""
    citation = annotation.get("url_citation")
    source = citation.get("source") if isinstance(citation, dict) else None
    return source if isinstance(source, dict) and "type" in source else annotation


def dumped(value: Any) -> str:
    return orjson.dumps(value).decode()


def arguments_text(value: Any) -> str:
    """A tool call's arguments as text. What is text already is not valid JSON, or the wire would
    have told a value."""
    return value if isinstance(value, str) and value else dumped(value or {})


def joined(pieces: Iterable[str]) -> str | None:
    """The text of a reply, None where there is none."""
    return "".join(pieces) or None
