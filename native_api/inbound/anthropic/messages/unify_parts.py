"""The blocks of users and of tools' results as unified content parts."""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound.checks import MAX_SHOWN
from native_api.inbound.translation import Report
from native_api.types import Json

IMAGE_NAME: Final = "image.png"
"""Tells a stored image from a stored document. Anthropic's ids are not names."""
CONTENT_TYPES: Final = ("text", "image")
DOCUMENT_NAME: Final = "document.pdf"
"""OpenAI requires a name of inline files."""


def read_parts(block: Json, path: str, report: Report) -> list[Json]:
    """The parts of one block. One that only Anthropic understands is refused, and has none."""
    build = BUILDERS.get(block["type"])
    if build is None:
        report.refuse(path, f"only Anthropic takes {block['type'][:MAX_SHOWN]!r} blocks here")
        return []
    parts: list[Json] = build(block, path, report)
    if block.get("cache_control") and parts:
        parts[-1]["cache_control"] = block["cache_control"]
    return parts


def read_content(content: Any, path: str, report: Report) -> list[Json]:
    """The parts of a string or of a list of blocks."""
    if isinstance(content, str):
        return [_text(content)]
    return [
        part
        for index, block in enumerate(content or ())
        for part in read_parts(block, f"{path}[{index}]", report)
    ]


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _read_text(block: Json, path: str, report: Report) -> list[Json]:
    return [_text(block["text"])]


def _read_image(block: Json, path: str, report: Report) -> list[Json]:
    if block.get("transformations"):
        report.omit("messages.content.transformations")
    source = block["source"]
    if source["type"] == "file":
        return [_file(file_id=source["file_id"], filename=IMAGE_NAME)]
    if source["type"] == "base64":
        return [_image(f"data:{source['media_type']};base64,{source['data']}")]
    if source["type"] == "url":
        return [_image(source["url"])]
    return _refuse_source(source, path, report)


def _image(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def _file(**members: str) -> Json:
    return {"type": "file", "file": members}


def _read_document(block: Json, path: str, report: Report) -> list[Json]:
    """A document. Text is sent as text, since few providers take files of text."""
    _report_citations(block, report)
    source, title = block["source"], block.get("title")
    context = [_text(block["context"])] if block.get("context") else []
    if source["type"] in ("text", "content"):
        heading = [_text(title)] if title else []
        return [*heading, *context, *_read_text_source(source, path, report)]
    named = {"filename": title} if title else {}
    if source["type"] == "base64":
        data = f"data:{source['media_type']};base64,{source['data']}"
        return [*context, _file(file_data=data, **(named or {"filename": DOCUMENT_NAME}))]
    if source["type"] == "url":
        return [*context, _file(file_url=source["url"], **named)]
    if source["type"] == "file":
        return [*context, _file(file_id=source["file_id"], **named)]
    return _refuse_source(source, path, report)


def _read_text_source(source: Json, path: str, report: Report) -> list[Json]:
    if source["type"] == "text":
        return [_text(source["data"])]
    content, path = source["content"], f"{path}.source.content"
    if isinstance(content, list):
        for index, block in enumerate(content):
            if block["type"] not in CONTENT_TYPES:
                report.refuse(f"{path}[{index}]", "the content of a document is text and images")
        content = [block for block in content if block["type"] in CONTENT_TYPES]
    return read_content(content, path, report)


def _read_search_result(block: Json, path: str, report: Report) -> list[Json]:
    """A result of the client's own search: where it is from, then its text."""
    _report_citations(block, report)
    texts = [text["text"] for text in block["content"] if text["type"] == "text"]
    return [_text("\n".join(filter(None, (block["title"], block["source"], *texts))))]


def _read_reference(block: Json, path: str, report: Report) -> list[Json]:
    """The name of a tool that a search of tools has found. The model has all tools already."""
    return [_text(block["tool_name"])]


def _report_citations(block: Json, report: Report) -> None:
    if (block.get("citations") or {}).get("enabled"):
        report.omit("messages.citations")


def _refuse_source(source: Json, path: str, report: Report) -> list[Json]:
    reason = f"only Anthropic takes sources of the type {source['type'][:MAX_SHOWN]!r}"
    report.refuse(f"{path}.source.type", reason)
    return []


BUILDERS: Final = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "search_result": _read_search_result,
    "tool_reference": _read_reference,
}
