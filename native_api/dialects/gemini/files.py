"""Images and sound that the model made, as `images` (OpenRouter's shape) and `audio` (OpenAI's)."""

from __future__ import annotations

from base64 import b64decode, b64encode

from native_api.dialects.gemini.calls import signed
from native_api.dialects.shared.replay import ReplyPosition
from native_api.types import Json


class Files:
    """Those of one candidate. Images go back after the text, unless a block tells another place."""

    def __init__(self, place: ReplyPosition) -> None:
        self.count = 0
        self._place = place
        self._images = 0
        self._unplaced: list[tuple[int, Json]] = []
        self._sound = b""
        self._has_sound = False

    def take(self, part: Json, delta: Json, reply_id: str) -> bool:
        """False where the part is no such file."""
        file = part.get("inlineData")
        if not isinstance(file, dict) or part.get("thought"):
            return False
        media_type, data = str(file.get("mimeType") or ""), file.get("data") or ""
        if media_type.startswith("image/"):
            self._image(f"data:{media_type};base64,{data}", part, delta)
        elif not media_type.startswith("audio/") or not self._audio(
            media_type, data, delta, reply_id
        ):
            return False
        self.count += 1
        return True

    def _image(self, url: str, part: Json, delta: Json) -> None:
        image: Json = {"type": "image_url", "image_url": {"url": url}, "index": self._images}
        delta.setdefault("images", []).append(signed(image, part))
        self._unplaced.append((self._images, self._place.offsets()))
        self._images += 1
        if self._place.calls:
            self.settle(delta)

    def settle(self, delta: Json) -> None:
        """Tell where the last images stood: something comes after them."""
        for number, here in self._unplaced:
            delta.setdefault("provider_content", []).append(
                self._place.build_item({"image": number}, here)
            )
        self._unplaced.clear()

    def _audio(self, media_type: str, data: str, delta: Json, reply_id: str) -> bool:
        """Sound in pieces whose base64 can be joined: up to two bytes wait for the next piece.
        False where it is no base64."""
        try:
            sound = self._sound + b64decode(data)
        except ValueError:
            return False
        whole = len(sound) - len(sound) % 3
        if not self._has_sound:
            delta["audio"] = {
                "id": f"audio_{reply_id}",
                "data": "",
                "expires_at": 0,
                "transcript": "",
                "mime_type": media_type,
            }
        if whole:
            delta.setdefault("audio", {"data": ""})["data"] += b64encode(sound[:whole]).decode()
        self._sound, self._has_sound = sound[whole:], True
        return True

    def rest(self) -> str:
        """The sound that still waits, as base64."""
        return b64encode(self._sound).decode()
