"""The text, images and files of a message as Anthropic's blocks.

Sources: https://platform.claude.com/docs/en/build-with-claude/vision, /pdf-support and /files (read
2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from native_api.dialects.shared.parts import (
    DataURL,
    decode_text,
    parse_data_url,
    read_cache_control,
    read_file_data,
)
from native_api.exceptions import UnsupportedField
from native_api.types import Json

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
TEXT_APPLICATION_TYPES: Final = frozenset(
    {"application/json", "application/xml", "application/x-yaml"}
)
"""Media types that are text, although they do not begin with `text/`."""
IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def build_text_block(part: Mapping[str, Any]) -> Json:
    """The block of a text part, with its `cache_control`."""
    return _add_cache_control({"type": "text", "text": part["text"]}, part)


def build_block(part: Mapping[str, Any], path: str) -> Json:
    """The block of one part of a user's or a tool's message.

    Raises UnsupportedField with the path of what the wire cannot express.
    """
    part_type = part["type"]
    if part_type == "text":
        return build_text_block(part)
    if part_type == "image_url":
        block = _build_from_url(part["image_url"]["url"], f"{path}.image_url.url")
        return _add_cache_control(block, part)
    if part_type == "file":
        return _add_cache_control(_build_file(part["file"], f"{path}.file"), part)
    raise UnsupportedField(f"{path}.{part_type}", "Anthropic takes text, images and documents")


def _add_cache_control(block: Json, part: Mapping[str, Any]) -> Json:
    cache_control = read_cache_control(part)
    if cache_control:
        block["cache_control"] = cache_control
    return block


def _build_from_url(url: str, path: str) -> Json:
    inline = parse_data_url(url)
    if inline is not None:
        return _build_from_data(inline, path)
    if not url.startswith(("http://", "https://")):
        raise UnsupportedField(path, "Anthropic takes data and http(s) URLs")
    return {"type": "image", "source": {"type": "url", "url": url}}


def _build_from_data(inline: DataURL, path: str) -> Json:
    """An image or a document, depending on the media type and not on the part that held it."""
    media_type, data = inline
    if media_type.startswith("image/"):
        if media_type not in IMAGE_TYPES:
            raise UnsupportedField(
                path, f"Anthropic takes JPEG, PNG, GIF and WebP images, not {media_type[:50]}"
            )
        return {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": media_type,
                "data": data,
            },
        }
    if media_type == "application/pdf":
        return {
            "type": "document",
            "source": {"type": "base64", "media_type": media_type, "data": data},
        }
    if media_type.startswith("text/") or media_type in TEXT_APPLICATION_TYPES:
        return {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": decode_text(data, path)},
        }
    raise UnsupportedField(path, f"Anthropic takes images, PDF and text, not {media_type[:50]}")


def _build_file(file: Mapping[str, Any], path: str) -> Json:
    name = file.get("filename") or ""
    inline = read_file_data(file, f"{path}.file_data")
    if inline is not None:
        block = _build_from_data(inline, path)
    elif file.get("file_id"):
        block_type = "image" if name.lower().endswith(IMAGE_SUFFIXES) else "document"
        block = {"type": block_type, "source": {"type": "file", "file_id": file["file_id"]}}
    else:
        block = _build_from_file_url(file["file_url"], f"{path}.file_url")
    if name and block["type"] == "document":
        block["title"] = name
    return block


def _build_from_file_url(url: str, path: str) -> Json:
    """A remote URL is a document; a data URL is whatever its media type says."""
    block = _build_from_url(url, path)
    return {**block, "type": "document"} if block["source"]["type"] == "url" else block
