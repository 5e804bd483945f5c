"""Images and audio that the model made, as `images` (OpenRouter's shape) and `audio` (OpenAI's)."""

from __future__ import annotations

from base64 import b64decode, b64encode

from native_api.dialects.gemini.tool_calls import attach_signature
from native_api.dialects.shared.replay import ReplyPosition
from native_api.types import Json


class ReplyMedia:
    """The images and the audio of one candidate. Images are replayed after the text, unless a block
    of `provider_content` gives their place."""

    def __init__(self, position: ReplyPosition) -> None:
        self.count = 0
        self._position = position
        self._image_count = 0
        self._unplaced_images: list[tuple[int, Json]] = []
        self._pending_audio = b""
        self._has_audio = False

    def add(self, part: Json, delta: Json, reply_id: str) -> bool:
        """Add the part to the delta. Returns False if it is not an image or audio."""
        data = part.get("inlineData")
        if not isinstance(data, dict) or part.get("thought"):
            return False
        media_type, base64 = str(data.get("mimeType") or ""), data.get("data") or ""
        if media_type.startswith("image/"):
            self._add_image(f"data:{media_type};base64,{base64}", part, delta)
        elif not media_type.startswith("audio/") or not self._add_audio(
            media_type, base64, delta, reply_id
        ):
            return False
        self.count += 1
        return True

    def _add_image(self, url: str, part: Json, delta: Json) -> None:
        index = self._image_count
        image: Json = {"type": "image_url", "image_url": {"url": url}, "index": index}
        delta.setdefault("images", []).append(attach_signature(image, part))
        self._unplaced_images.append((index, self._position.offsets()))
        self._image_count += 1
        if self._position.calls:
            self.place_images(delta)

    def place_images(self, delta: Json) -> None:
        """Write where the last images stood. Needed as soon as something comes after them."""
        for index, offsets in self._unplaced_images:
            delta.setdefault("provider_content", []).append(
                self._position.build_item({"image": index}, offsets)
            )
        self._unplaced_images.clear()

    def _add_audio(self, media_type: str, base64: str, delta: Json, reply_id: str) -> bool:
        """Add audio in pieces whose base64 can be joined: up to two bytes wait for the next piece.
        Returns False if it is not base64."""
        try:
            audio = self._pending_audio + b64decode(base64)
        except ValueError:
            return False
        length = len(audio) - len(audio) % 3
        if not self._has_audio:
            delta["audio"] = {
                "id": f"audio_{reply_id}",
                "data": "",
                "expires_at": 0,
                "transcript": "",
                "mime_type": media_type,
            }
        if length:
            delta.setdefault("audio", {"data": ""})["data"] += b64encode(audio[:length]).decode()
        self._pending_audio, self._has_audio = audio[length:], True
        return True

    def pending_audio(self) -> str:
        """The audio that was not sent yet, as base64."""
        return b64encode(self._pending_audio).decode()
