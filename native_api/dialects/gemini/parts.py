"""Images, audio and files of a message as Gemini parts: `inlineData` for data, `fileData` for URLs.

The Gemini API and Vertex AI both fetch http(s), YouTube and gs:// URLs themselves
(https://ai.google.dev/gemini-api/docs/file-input-methods and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference, read 2026-11).
Vertex AI requires a media type.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from native_api.dialects.shared.media_types import detect_type
from native_api.dialects.shared.parts import DataURL, parse_data_url
from native_api.exceptions import UnsupportedField
from native_api.types import Json

MEDIA_TYPES: Final = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
    "gif": "image/gif", "heic": "image/heic", "heif": "image/heif", "bmp": "image/bmp",
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "html": "text/html",
    "htm": "text/html", "css": "text/css", "csv": "text/csv", "xml": "text/xml", "rtf": "text/rtf",
    "json": "application/json", "js": "text/javascript", "py": "text/x-python",
    "mp3": "audio/mp3", "wav": "audio/wav", "aiff": "audio/aiff", "aac": "audio/aac",
    "ogg": "audio/ogg", "flac": "audio/flac", "m4a": "audio/m4a", "opus": "audio/opus",
    "mp4": "video/mp4", "mpeg": "video/mpeg", "mpg": "video/mpg", "mov": "video/mov",
    "avi": "video/avi", "flv": "video/x-flv", "webm": "video/webm", "wmv": "video/wmv",
    "3gp": "video/3gpp",
}  # fmt: skip
"""The ending of a file's name -> Gemini's own name of the type."""

FALLBACK_TYPES: Final = {"image_url": "", "video_url": "video/mp4", "audio_url": "audio/mp3"}
"""Type of a part with a URL -> the media type if the URL does not show one."""

YOUTUBE_HOSTS: Final = ("youtube.com", "youtu.be")
FETCHED_SCHEMES: Final = ("https://", "http://", "gs://")


class PartTranslator:
    """Builds the parts that are not text. `uploads_url` is the URL of the Gemini API's uploaded
    files, "" for Vertex AI."""

    __slots__ = ("_uploads_url",)

    def __init__(self, uploads_url: str) -> None:
        self._uploads_url = uploads_url

    def build_part(self, part: Json, path: str) -> Json:
        """One `image_url`, `video_url`, `audio_url`, `input_audio` or `file` part.

        Raises UnsupportedField with the path of what Gemini cannot express.
        """
        kind = part.get("type")
        if kind in FALLBACK_TYPES:
            url = part[kind]["url"]
            return self._build_from_url(url, "", f"{path}.{kind}.url", FALLBACK_TYPES[kind])
        if kind == "input_audio":
            return _build_audio(part["input_audio"])
        if kind == "file":
            return self._build_file(part["file"], f"{path}.file")
        raise UnsupportedField(path, f"this provider takes no {kind!r} parts")

    def _build_file(self, file: Json, path: str) -> Json:
        name = file.get("filename") or ""
        if file.get("file_data"):
            return _build_from_data(file["file_data"], name, f"{path}.file_data")
        if file.get("file_url"):
            return self._build_from_url(file["file_url"], name, f"{path}.file_url")
        return self._build_upload(file["file_id"], name, f"{path}.file_id")

    def _build_from_url(self, url: str, name: str, path: str, fallback: str = "") -> Json:
        """`fallback` is the media type of a URL that shows none."""
        if url.startswith("data:"):
            return {"inlineData": build_inline_data(url)}
        media_type = guess_media_type(name) or guess_url_media_type(url) or fallback
        if not media_type and not self._uploads_url:
            raise UnsupportedField(
                path,
                "Vertex AI needs the file's type: use a URL whose path ends like a file name, "
                "or a data URL",
            )
        return _build_reference(url, media_type)

    def _build_upload(self, file_id: str, name: str, path: str) -> Json:
        if file_id.startswith(FETCHED_SCHEMES):
            return self._build_from_url(file_id, name, path)
        if not self._uploads_url:
            raise UnsupportedField(
                path, "Vertex AI has no uploaded files; use a gs:// or https:// URL"
            )
        url = f"{self._uploads_url}/{file_id.removeprefix('files/')}"
        return _build_reference(url, guess_media_type(name))


def _build_reference(url: str, media_type: str) -> Json:
    file_data = {"fileUri": url}
    if media_type:
        file_data["mimeType"] = media_type
    return {"fileData": file_data}


def _build_from_data(data: str, name: str, path: str) -> Json:
    """A file's data: a data URL, or base64 whose type follows from the name. A name without an
    ending means a PDF, as with OpenAI."""
    if data.startswith("data:"):
        return {"inlineData": build_inline_data(data)}
    media_type = detect_type("", data) or (
        guess_media_type(name) if "." in name else "application/pdf"
    )
    if not media_type:
        raise UnsupportedField(path, "this file's type is not known; send a data URL")
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _build_audio(audio: Json) -> Json:
    if audio["data"].startswith("data:"):
        return {"inlineData": build_inline_data(audio["data"])}
    media_type = MEDIA_TYPES.get(audio["format"], f"audio/{audio['format']}")
    return {"inlineData": {"mimeType": media_type, "data": audio["data"]}}


def build_inline_data(url: str) -> Json:
    """A data URL as `{"mimeType", "data"}`."""
    media_type, data = parse_data_url(url) or DataURL("text/plain", "")
    return {"mimeType": media_type, "data": data}


def guess_media_type(name: str) -> str:
    """The type that a file's name says, "" if it says none."""
    return MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "")


def guess_url_media_type(url: str) -> str:
    parts = urlsplit(url)
    if (parts.hostname or "").endswith(YOUTUBE_HOSTS):
        return "video/mp4"
    return guess_media_type(parts.path)
