"""Images, audio and files of a message as Gemini parts: `inlineData` for data, `fileData` for
addresses.

The Gemini API and Vertex AI both fetch http(s), YouTube and gs:// addresses themselves
(https://ai.google.dev/gemini-api/docs/file-input-methods and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference, read 2026-11).
Vertex insists on a type.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from native_api.dialects.shared.parts import DataURL, parse_data_url
from native_api.exceptions import UnsupportedField
from native_api.types import Json

TYPES_BY_ENDING: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif", "heic": "image/heic",
    "heif": "image/heif", "bmp": "image/bmp", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "html": "text/html", "htm": "text/html", "css": "text/css", "csv": "text/csv", "xml": "text/xml", "rtf": "text/rtf",
    "json": "application/json", "js": "text/javascript", "py": "text/x-python", "mp3": "audio/mp3", "wav": "audio/wav",
    "aiff": "audio/aiff", "aac": "audio/aac", "ogg": "audio/ogg", "flac": "audio/flac", "m4a": "audio/m4a", "opus": "audio/opus",
    "mp4": "video/mp4", "mpeg": "video/mpeg", "mpg": "video/mpg", "mov": "video/mov", "avi": "video/avi", "flv": "video/x-flv",
    "webm": "video/webm", "wmv": "video/wmv", "3gp": "video/3gpp",
}  # fmt: skip
"""Gemini's own names for the types it takes, by the ending of a file's name."""

YOUTUBE: Final = ("youtube.com", "youtu.be")
ADDRESSES: Final = ("https://", "http://", "gs://")


class Media:
    """How one provider names files: `files_url` is where the Gemini API keeps uploaded ones, "" on
    Vertex AI."""

    __slots__ = ("_files_url",)

    def __init__(self, files_url: str) -> None:
        self._files_url = files_url

    def part(self, part: Json, place: str) -> Json:
        """One `image_url`, `input_audio` or `file` part. Raises UnsupportedField with the place of
        what cannot be said."""
        kind = part.get("type")
        if kind == "image_url":
            return self._from_url(part["image_url"]["url"], "", f"{place}.image_url.url")
        if kind == "input_audio":
            return _audio(part["input_audio"])
        if kind == "file":
            return self._file(part["file"], f"{place}.file")
        raise UnsupportedField(place, f"this provider takes no {kind!r} parts")

    def _file(self, file: Json, place: str) -> Json:
        name = file.get("filename") or ""
        if file.get("file_data"):
            return _data(file["file_data"], name, f"{place}.file_data")
        if file.get("file_url"):
            return self._from_url(file["file_url"], name, f"{place}.file_url")
        return self._uploaded(file["file_id"], name, f"{place}.file_id")

    def _from_url(self, url: str, name: str, place: str) -> Json:
        if url.startswith("data:"):
            return {"inlineData": inline(url)}
        media_type = type_of(name) or type_of_url(url)
        if not media_type and not self._files_url:
            raise UnsupportedField(
                place,
                "Vertex AI must be told the type: use a URL whose path ends like a file name, or a data URL",
            )
        return _reference(url, media_type)

    def _uploaded(self, file_id: str, name: str, place: str) -> Json:
        if file_id.startswith(ADDRESSES):
            return self._from_url(file_id, name, place)
        if not self._files_url:
            raise UnsupportedField(
                place, "Vertex AI has no uploaded files; use a gs:// or https:// address"
            )
        return _reference(f"{self._files_url}/{file_id.removeprefix('files/')}", type_of(name))


def _reference(url: str, media_type: str) -> Json:
    told = {"fileUri": url}
    if media_type:
        told["mimeType"] = media_type
    return {"fileData": told}


def _data(data: str, name: str, place: str) -> Json:
    """A file's data: a data URL, or bare base64 whose type the name tells. Without an ending it is
    a PDF, as for OpenAI."""
    if data.startswith("data:"):
        return {"inlineData": inline(data)}
    media_type = type_of(name) if "." in name else "application/pdf"
    if not media_type:
        raise UnsupportedField(place, "the type of such a file is not known; send a data URL")
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _audio(audio: Json) -> Json:
    if audio["data"].startswith("data:"):
        return {"inlineData": inline(audio["data"])}
    media_type = TYPES_BY_ENDING.get(audio["format"], f"audio/{audio['format']}")
    return {"inlineData": {"mimeType": media_type, "data": audio["data"]}}


def inline(url: str) -> Json:
    """A data URL as `{"mimeType", "data"}`."""
    media_type, data = parse_data_url(url) or DataURL("text/plain", "")
    return {"mimeType": media_type, "data": data}


def type_of(name: str) -> str:
    """The type that a file's name tells, "" where it tells none."""
    return TYPES_BY_ENDING.get(name.rpartition(".")[2].lower(), "")


def type_of_url(url: str) -> str:
    parts = urlsplit(url)
    if (parts.hostname or "").endswith(YOUTUBE):
        return "video/mp4"
    return type_of(parts.path)
