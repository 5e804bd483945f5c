"""One candidate of a reply, piece by piece, as unified deltas. The complete reply is one piece, so both agree.

Parts are joined into runs: consecutive text is one run and consecutive thoughts are one, whatever pieces a stream cuts
them into. A signature belongs to its run. See `gemini_replay` for the numbers that tell where a run stood.
Source: https://ai.google.dev/api/generate-content#v1beta.Candidate (read 2026-11).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from itertools import zip_longest
from typing import Final

from native_api.dialects.content import FORCED_TOOL, dumped
from native_api.dialects.gemini_grounding import sources
from native_api.dialects.gemini_replay import FORMAT, NOT_SENT
from native_api.exceptions import UpstreamError
from native_api.types import Json

FILTERED: Final = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
    }
)  # fmt: skip
"""Reasons that mean a filter ended the answer."""

BROKEN: Final = frozenset({"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"})
"""Reasons that mean there is no answer, whatever came before."""

FAILED_IF_EMPTY: Final = frozenset({"OTHER", "IMAGE_OTHER", "NO_IMAGE", "UNEXPECTED_TOOL_CALL"})
"""Reasons that mean the same where nothing came before."""

NOTHING: Final[Json] = {}


class Candidate:
    """The state of one candidate. `take` for each piece, then `end` once."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.reason: str | None = None
        self._message = ""
        self._run = ""
        self._run_start: Json = {}
        self._is_signed = False
        self._text: list[str] = []
        self._length = 0
        self._calls = 0
        self._details = 0
        self._blocks = 0
        self._files = 0
        self._sound = b""
        self._has_sound = False
        self._about: list[Json] = []

    def take(self, piece: Json, reply_id: str) -> Json:
        """The delta that one piece means, empty where it says nothing. Raises UpstreamError for a broken answer."""
        delta: Json = {}
        for part in (piece.get("content") or {}).get("parts") or ():
            self._part(part, delta, reply_id)
        for name in NOT_SENT & piece.keys():
            about = {name: piece[name]}
            if piece[name] and about not in self._about:
                self._about.append(about)
        if piece.get("finishReason"):
            self.reason = str(piece["finishReason"])
            self._message = piece.get("finishMessage") or self._message
            if self.reason in BROKEN:
                raise self._failure()
        return delta

    def end(self) -> tuple[Json, str]:
        """What is owed at the end, and the finish reason. Raises UpstreamError where there is no answer at all."""
        said_nothing = not (self._length or self._calls or self._files)
        if said_nothing and self.reason in FAILED_IF_EMPTY:
            raise self._failure()
        delta: Json = {}
        found = sources("".join(self._text), self._about) if self._about else []
        if found:
            delta["annotations"] = found
        if self._about:
            delta["provider_content"] = [
                {"format": FORMAT, "index": self._blocks + position, "block": about} for position, about in enumerate(self._about)
            ]
        if self._sound:
            delta["audio"] = {"data": b64encode(self._sound).decode()}
        reason = self._finish_reason()
        if reason == "content_filter" and said_nothing:
            delta["refusal"] = self._message or f"The provider stopped the answer: {self.reason}."
        return delta, reason

    def _finish_reason(self) -> str:
        if self.reason in FILTERED:
            return "content_filter"
        if self.reason == "MAX_TOKENS":
            return "length"
        return "tool_calls" if self._calls else "stop"

    def _failure(self) -> UpstreamError:
        words = f" {self._message}" if self._message else ""
        return UpstreamError(f"The provider failed to write an answer: {self.reason}.{words}")

    # --- parts ---------------------------------------------------------------------------------------------

    def _part(self, part: Json, delta: Json, reply_id: str) -> None:
        if part.get("thought") and "text" in part:
            self._thought(part, delta)
        elif "text" in part or part.keys() <= {"thoughtSignature"}:
            self._speech(part.get("text") or "", part.get("thoughtSignature"), delta)
        elif "functionCall" in part:
            self._call(part, delta, reply_id)
        elif not self._is_file(part, delta, reply_id):
            self._block(part, delta)

    def _here(self) -> Json:
        """Where the reply stands now, in `gemini_replay`'s numbers."""
        here = {}
        if self._length:
            here["at"] = self._length
        if self._calls:
            here["calls"] = self._calls
        return here

    def _begin(self, run: str) -> None:
        self._run, self._run_start, self._is_signed = run, self._here(), False

    def _speech(self, text: str, signature: str | None, delta: Json) -> None:
        if not text and not signature:
            return
        if self._run != "text" or (signature and self._is_signed):
            self._begin("text")
        if text:
            delta["content"] = delta.get("content", "") + text
            self._text.append(text)
            self._length += len(text)
        if signature:
            self._is_signed = True
            self._detail({"type": "reasoning.encrypted", "data": signature, **self._run_start}, delta)

    def _thought(self, part: Json, delta: Json) -> None:
        text, signature = part["text"] or "", part.get("thoughtSignature")
        if not text and not signature:
            return
        is_new = self._run != "thought" or (signature and self._is_signed)
        detail = {"type": "reasoning.text", "text": text}
        if is_new:
            self._begin("thought")
            detail.update(self._run_start)
        if text:
            delta["reasoning_content"] = delta.get("reasoning_content", "") + text
        if signature:
            self._is_signed = True
            detail["signature"] = signature
        self._detail(detail, delta, continues=not is_new)

    def _detail(self, detail: Json, delta: Json, continues: bool = False) -> None:
        self._details += not continues
        index = self._details - 1
        details = delta.setdefault("reasoning_details", [])
        if continues and details and details[-1]["index"] == index:
            details[-1]["text"] += detail.pop("text")
            details[-1].update(detail)
        else:
            details.append({**detail, "format": FORMAT, "index": index})

    def _call(self, part: Json, delta: Json, reply_id: str) -> None:
        call = part["functionCall"]
        name = call.get("name") or ""
        arguments = dumped(call.get("args") or {})
        if name == FORCED_TOOL:
            self._speech(arguments, part.get("thoughtSignature"), delta)
            return
        told: Json = {
            "index": self._calls,
            "id": call.get("id") or self._call_id(name, reply_id),
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        if part.get("thoughtSignature"):
            told["extra_content"] = {"google": {"thought_signature": part["thoughtSignature"]}}
        delta.setdefault("tool_calls", []).append(told)
        self._calls += 1
        self._run = ""

    def _call_id(self, name: str, reply_id: str) -> str:
        """An id where the wire has none: the same for the same reply, another for another one."""
        position = f"{self.index}_{self._calls}" if self.index else str(self._calls)
        return f"call_{reply_id or name}_{position}"

    def _block(self, block: Json, delta: Json) -> None:
        """A part that has no unified shape, kept whole for the next turn."""
        told: Json = {"format": FORMAT, "index": self._blocks, "block": block, **self._here()}
        if self._details:
            told["reasoning"] = self._details
        delta.setdefault("provider_content", []).append(told)
        self._blocks += 1
        self._run = ""

    # --- files that the model made ---------------------------------------------------------------------------

    def _is_file(self, part: Json, delta: Json, reply_id: str) -> bool:
        file = part.get("inlineData")
        if not isinstance(file, dict) or part.get("thought"):
            return False
        media_type, data = str(file.get("mimeType") or ""), file.get("data") or ""
        if media_type.startswith("image/"):
            image: Json = {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
            if part.get("thoughtSignature"):
                image["extra_content"] = {"google": {"thought_signature": part["thoughtSignature"]}}
            delta.setdefault("images", []).append(image)
        elif not media_type.startswith("audio/") or not self._audio(media_type, data, delta, reply_id):
            return False
        self._files += 1
        self._run = ""
        return True

    def _audio(self, media_type: str, data: str, delta: Json, reply_id: str) -> bool:
        """Sound in pieces whose base64 can be joined: up to two bytes wait for the next piece. False where it is no base64."""
        try:
            sound = self._sound + b64decode(data)
        except ValueError:
            return False
        whole = len(sound) - len(sound) % 3
        if not self._has_sound:
            delta["audio"] = {"id": f"audio_{reply_id}", "data": "", "expires_at": 0, "transcript": "", "mime_type": media_type}
        if whole:
            delta.setdefault("audio", {"data": ""})["data"] += b64encode(sound[:whole]).decode()
        self._sound, self._has_sound = sound[whole:], True
        return True


def logprobs(piece: Json) -> Json | None:
    """OpenAI's `logprobs` of a piece, None where it has none."""
    result = piece.get("logprobsResult")
    if not isinstance(result, dict) or not result.get("chosenCandidates"):
        return None
    pairs = zip_longest(result["chosenCandidates"], result.get("topCandidates") or (), fillvalue=NOTHING)
    content = [
        {**_token(chosen), "top_logprobs": [_token(item) for item in row.get("candidates") or ()]} for chosen, row in pairs if chosen
    ]
    return {"content": content, "refusal": None}


def _token(item: Json) -> Json:
    token = item.get("token") or ""
    return {"token": token, "logprob": item.get("logProbability", 0.0), "bytes": list(token.encode())}
