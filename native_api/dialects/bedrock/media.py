"""Images, documents, videos and sound of a message as Converse blocks.

Data goes inline; what lies in Amazon S3 goes by its address, `s3://bucket/key`, with
`?bucketOwner=123456789012` where the bucket belongs to another account. Bedrock fetches no other
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

IMAGES: Final = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"}
VIDEOS: Final = {
    "mp4": "mp4", "quicktime": "mov", "mov": "mov", "x-matroska": "mkv", "mkv": "mkv", "webm": "webm", "flv": "flv", "x-flv": "flv",
    "mpeg": "mpeg", "mpg": "mpg", "wmv": "wmv", "x-ms-wmv": "wmv", "3gpp": "three_gp", "3gp": "three_gp",
}  # fmt: skip
SOUNDS: Final = {
    "mpeg": "mp3", "mp3": "mp3", "wav": "wav", "x-wav": "wav", "flac": "flac", "ogg": "ogg", "opus": "opus", "aac": "aac", "x-aac": "x-aac",
    "mp4": "mp4", "m4a": "m4a", "x-m4a": "m4a", "webm": "webm", "mkv": "mkv", "mka": "mka", "mpga": "mpga", "pcm": "pcm", "pcm16": "pcm",
}  # fmt: skip
DOCUMENTS: Final = {
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
"""The format of a document by its type; any other text is plain."""

NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
LONGEST_NAME: Final = 190
"""Two hundred less what tells two of the same name apart."""


class Media:
    """Makes the blocks of one request: Bedrock wants every document named, and no two alike."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def block(self, part: Mapping[str, Any], place: str) -> Json:
        """The block of an `image_url`, `input_audio` or `file` part. Raises UnsupportedField with
        the place."""
        kind = part["type"]
        if kind == "image_url":
            return self._from_url(part["image_url"]["url"], "", f"{place}.image_url.url")
        if kind == "input_audio":
            return _sound(part["input_audio"], f"{place}.input_audio.format")
        if kind == "file":
            return self._file(part["file"], f"{place}.file")
        raise UnsupportedField(place, f"this provider takes no {kind!r} parts")

    def _file(self, file: Mapping[str, Any], place: str) -> Json:
        name = file.get("filename") or ""
        inline = read_file_data(file, f"{place}.file_data")
        if inline is not None:
            return self._inline(inline, name, f"{place}.file_data")
        key = "file_url" if file.get("file_url") else "file_id"
        return self._from_url(file[key], name, f"{place}.{key}")

    def _from_url(self, url: str, name: str, place: str) -> Json:
        inline = parse_data_url(url)
        if inline is not None:
            return self._inline(inline, name, place)
        if not url.startswith("s3://"):
            raise UnsupportedField(
                place, "this provider takes inline data, as a data: URL, and s3:// addresses"
            )
        location = _location(url)
        path_name = location["uri"].rpartition("/")[2]
        media_type = MEDIA_TYPES.get(path_name.rpartition(".")[2].lower(), "")
        if not media_type:
            raise UnsupportedField(
                place,
                "the type of the file is not known: its name must end like one, such as .pdf or .png",
            )
        return self._of_type(media_type, {"s3Location": location}, name or path_name, place)

    def _inline(self, inline: DataURL, name: str, place: str) -> Json:
        return self._of_type(inline.media_type, {"bytes": inline.data}, name, place)

    def _of_type(self, media_type: str, source: Json, name: str, place: str) -> Json:
        family, _, kind = media_type.partition("/")
        for block, known, formats in (
            ("image", "image", IMAGES),
            ("video", "video", VIDEOS),
            ("audio", "audio", SOUNDS),
        ):
            if family == known:
                if kind not in formats:
                    raise UnsupportedField(place, f"this provider takes no {media_type}")
                return {block: {"format": formats[kind], "source": source}}
        told = DOCUMENTS.get(media_type) or ("txt" if family == "text" else "")
        if not told:
            raise UnsupportedField(place, f"this provider takes no {media_type}")
        return {"document": {"format": told, "name": self._name(name), "source": source}}

    def _name(self, filename: str) -> str:
        """A name as Bedrock takes it: ASCII letters, digits, single spaces, hyphens, parentheses
        and brackets; each once."""
        stem = filename.rpartition(".")[0] or filename
        plain = " ".join(NOT_IN_NAMES.sub("-", stem).split())[:LONGEST_NAME].strip()
        base = (
            plain
            if any(character.isalnum() for character in plain)
            else f"Document {len(self._names) + 1}"
        )
        name, number = base, 2
        while name in self._names:
            name, number = f"{base} ({number})", number + 1
        self._names.add(name)
        return name


def _location(url: str) -> Json:
    """An S3 object's address; the account that owns its bucket is told in the query."""
    owner = parse_qs(urlsplit(url).query).get("bucketOwner")
    return {"uri": url.partition("?")[0], "bucketOwner": owner[0]} if owner else {"uri": url}


def _sound(audio: Mapping[str, Any], place: str) -> Json:
    inline = parse_data_url(audio["data"])
    kind = inline.media_type.partition("/")[2] if inline else audio["format"].lower()
    if kind not in SOUNDS:
        raise UnsupportedField(place, f"this provider takes no {kind} sound")
    return {
        "audio": {
            "format": SOUNDS[kind],
            "source": {"bytes": inline.data if inline else audio["data"]},
        }
    }
