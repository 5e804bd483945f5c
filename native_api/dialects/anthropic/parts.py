"""Text, images and files of a message as Anthropic's blocks.

Sources: https://platform.claude.com/docs/en/build-with-claude/vision, /pdf-support and /files (read
2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.parts import DataURL, decode_text, parse_data_url, read_file_data
from native_api.exceptions import UnsupportedField
from native_api.types import Json

IMAGE_BEGINNINGS: Final = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
"""How the base64 of the images that Anthropic takes begins. It answers 400 where the type that is
told is another."""

TEXTS: Final = frozenset({"application/json", "application/xml", "application/x-yaml"})
IMAGE_ENDINGS: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def text_block(part: Mapping[str, Any]) -> Json:
    return _marked({"type": "text", "text": part["text"]}, part)


def block(part: Mapping[str, Any], place: str) -> Json:
    """One part of a user's or a tool's message. Raises UnsupportedField with the place of what
    cannot be said."""
    kind = part["type"]
    if kind == "text":
        return text_block(part)
    if kind == "image_url":
        return _marked(_from_url(part["image_url"]["url"], f"{place}.image_url.url"), part)
    if kind == "file":
        return _marked(_file(part["file"], f"{place}.file"), part)
    raise UnsupportedField(f"{place}.{kind}", "Anthropic takes text, images and documents")


def _marked(told: Json, part: Mapping[str, Any]) -> Json:
    if part.get("cache_control"):
        told["cache_control"] = part["cache_control"]
    return told


def _from_url(url: str, place: str) -> Json:
    inline = parse_data_url(url)
    if inline is not None:
        return _from_data(inline, place)
    if not url.startswith(("http://", "https://")):
        raise UnsupportedField(place, "Anthropic takes data and http(s) URLs")
    return {"type": "image", "source": {"type": "url", "url": url}}


def _from_data(inline: DataURL, place: str) -> Json:
    """An image or a document, whatever part it came in."""
    media_type, data = inline
    if media_type.startswith("image/"):
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": _image_type(media_type, data), "data": data},
        }
    if media_type == "application/pdf":
        return {
            "type": "document",
            "source": {"type": "base64", "media_type": media_type, "data": data},
        }
    if media_type.startswith("text/") or media_type in TEXTS:
        return {
            "type": "document",
            "source": {
                "type": "text",
                "media_type": "text/plain",
                "data": decode_text(data, place),
            },
        }
    raise UnsupportedField(place, f"Anthropic takes images, PDF and text, not {media_type[:50]}")


def _image_type(told: str, data: str) -> str:
    return next(
        (kind for beginning, kind in IMAGE_BEGINNINGS.items() if data.startswith(beginning)),
        told.replace("/jpg", "/jpeg"),
    )


def _file(file: Mapping[str, Any], place: str) -> Json:
    name = file.get("filename") or ""
    inline = read_file_data(file, f"{place}.file_data")
    if inline is not None:
        told = _from_data(inline, place)
    elif file.get("file_id"):
        kind = "image" if name.lower().endswith(IMAGE_ENDINGS) else "document"
        told = {"type": kind, "source": {"type": "file", "file_id": file["file_id"]}}
    else:
        told = _remote(file["file_url"], f"{place}.file_url")
    if name and told["type"] == "document":
        told["title"] = name
    return told


def _remote(url: str, place: str) -> Json:
    """A document's address; anything inline in an address' place is taken as what it is."""
    told = _from_url(url, place)
    return {**told, "type": "document"} if told["source"]["type"] == "url" else told
