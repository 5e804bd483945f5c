"""The images, documents, videos and sounds of a message as Converse blocks.

Data is sent inline. A file in Amazon S3 is sent as its address, `s3://bucket/key`, with
`?bucketOwner=123456789012` if the bucket belongs to another account. Bedrock fetches no other
address. The formats are those of ImageBlock, DocumentBlock, VideoBlock and AudioBlock
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html, read
2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from native_api.dialects.shared.parts import MEDIA_TYPES, DataURL, parse_data_url, read_file_data
from native_api.exceptions import UnsupportedField
from native_api.types import Json

IMAGE_FORMATS: Final = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"}
VIDEO_FORMATS: Final = {
    "mp4": "mp4", "quicktime": "mov", "mov": "mov", "x-matroska": "mkv", "mkv": "mkv",
    "webm": "webm", "flv": "flv", "x-flv": "flv", "mpeg": "mpeg", "mpg": "mpg", "wmv": "wmv",
    "x-ms-wmv": "wmv", "3gpp": "three_gp", "3gp": "three_gp",
}  # fmt: skip
AUDIO_FORMATS: Final = {
    "mpeg": "mp3", "mp3": "mp3", "wav": "wav", "x-wav": "wav", "flac": "flac", "ogg": "ogg",
    "opus": "opus", "aac": "aac", "x-aac": "x-aac", "mp4": "mp4", "m4a": "m4a", "x-m4a": "m4a",
    "webm": "webm", "mkv": "mkv", "mka": "mka", "mpga": "mpga", "pcm": "pcm", "pcm16": "pcm",
}  # fmt: skip
MEDIA_FORMATS: Final = {"image": IMAGE_FORMATS, "video": VIDEO_FORMATS, "audio": AUDIO_FORMATS}
"""First half of a media type, which is also the name of the block -> second half -> format."""
DOCUMENT_FORMATS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "application/json": "txt",
    "application/xml": "txt",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
"""Media type -> format; any other text is `txt`."""

FORBIDDEN_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
MAX_NAME_LENGTH: Final = 190
"""Characters. Bedrock takes 200; the rest is for the number that makes a name unique."""


class PartTranslator:
    """Builds the blocks of one request. Bedrock requires a name for every document, and refuses two
    documents of the same name."""

    def __init__(self) -> None:
        self._document_names: set[str] = set()

    def build_block(self, part: Mapping[str, Any], path: str) -> Json:
        """The block of an `image_url`, `video_url`, `audio_url`, `input_audio` or `file` part.

        Raises UnsupportedField with the path.
        """
        part_type = part["type"]
        if part_type in ("image_url", "video_url", "audio_url"):
            return self._build_from_url(part[part_type]["url"], "", f"{path}.{part_type}.url")
        if part_type == "input_audio":
            return _build_audio(part["input_audio"], f"{path}.input_audio.format")
        if part_type == "file":
            return self._build_file(part["file"], f"{path}.file")
        raise UnsupportedField(path, f"this provider takes no {part_type!r} parts")

    def _build_file(self, file: Mapping[str, Any], path: str) -> Json:
        name = file.get("filename") or ""
        inline = read_file_data(file, f"{path}.file_data")
        if inline is not None:
            return self._build_inline(inline, name, f"{path}.file_data")
        member = "file_url" if file.get("file_url") else "file_id"
        return self._build_from_url(file[member], name, f"{path}.{member}")

    def _build_from_url(self, url: str, name: str, path: str) -> Json:
        inline = parse_data_url(url)
        if inline is not None:
            return self._build_inline(inline, name, path)
        if not url.startswith("s3://"):
            raise UnsupportedField(
                path, "this provider takes inline data, as a data: URL, and s3:// addresses"
            )
        location = _build_s3_location(url)
        file_name = location["uri"].rpartition("/")[2]
        media_type = MEDIA_TYPES.get(file_name.rpartition(".")[2].lower(), "")
        if not media_type:
            raise UnsupportedField(
                path,
                "the type of the file is unknown: its name must have a known suffix, such as .pdf "
                "or .png",
            )
        return self._build_media(media_type, {"s3Location": location}, name or file_name, path)

    def _build_inline(self, inline: DataURL, name: str, path: str) -> Json:
        return self._build_media(inline.media_type, {"bytes": inline.data}, name, path)

    def _build_media(self, media_type: str, source: Json, name: str, path: str) -> Json:
        family, _, subtype = media_type.partition("/")
        formats = MEDIA_FORMATS.get(family)
        if formats is not None:
            if subtype not in formats:
                raise UnsupportedField(path, f"this provider takes no {media_type}")
            return {family: {"format": formats[subtype], "source": source}}
        document_format = DOCUMENT_FORMATS.get(media_type) or ("txt" if family == "text" else "")
        if not document_format:
            raise UnsupportedField(path, f"this provider takes no {media_type}")
        unique_name = self._build_document_name(name)
        return {"document": {"format": document_format, "name": unique_name, "source": source}}

    def _build_document_name(self, filename: str) -> str:
        """A unique name of what Bedrock accepts: ASCII letters, digits, single spaces, hyphens,
        parentheses and brackets."""
        stem = filename.rpartition(".")[0] or filename
        plain = " ".join(FORBIDDEN_IN_NAMES.sub("-", stem).split())[:MAX_NAME_LENGTH].strip()
        base = (
            plain
            if any(character.isalnum() for character in plain)
            else f"Document {len(self._document_names) + 1}"
        )
        name, number = base, 2
        while name in self._document_names:
            name, number = f"{base} ({number})", number + 1
        self._document_names.add(name)
        return name


def _build_s3_location(url: str) -> Json:
    """The address of an S3 object. The URL's query names the account that owns the bucket."""
    owner = parse_qs(urlsplit(url).query).get("bucketOwner")
    return {"uri": url.partition("?")[0], "bucketOwner": owner[0]} if owner else {"uri": url}


def _build_audio(audio: Mapping[str, Any], path: str) -> Json:
    inline = parse_data_url(audio["data"])
    subtype = inline.media_type.partition("/")[2] if inline else audio["format"].lower()
    if subtype not in AUDIO_FORMATS:
        raise UnsupportedField(path, f"this provider takes no {subtype} sound")
    return {
        "audio": {
            "format": AUDIO_FORMATS[subtype],
            "source": {"bytes": inline.data if inline else audio["data"]},
        }
    }
