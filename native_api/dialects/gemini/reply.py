"""One candidate of a reply, piece by piece, as unified deltas. The complete reply is one piece, so
both agree.

Parts are joined into runs: consecutive text is one run and consecutive thoughts are one, whatever
pieces a stream cuts them into. A signature belongs to its run. See `replay` for the numbers that
tell where a run stood. Source: https://ai.google.dev/api/generate-content#v1beta.Candidate (read
2026-11).
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.gemini.calls import Pieces, begun
from native_api.dialects.gemini.files import Files
from native_api.dialects.gemini.grounding import sources
from native_api.dialects.gemini.replay import FORMAT, NOT_SENT
from native_api.dialects.shared.replay import ReplyPosition
from native_api.dialects.shared.tools import ANSWER_TOOL, format_arguments
from native_api.exceptions import UpstreamError
from native_api.types import Json

FILTERED: Final = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
        "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
    }
)  # fmt: skip
"""Reasons that mean a filter ended the answer."""

BROKEN: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""Reasons that mean there is no answer, whatever came before."""

FAILED_IF_EMPTY: Final = frozenset({"OTHER", "IMAGE_OTHER", "NO_IMAGE", "UNEXPECTED_TOOL_CALL"})
"""Reasons that mean the same where nothing came before."""

SAID_BY_OURS: Final = frozenset({None, "STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"})
"""Reasons that OpenAI's words tell wholly."""


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
        self._place = ReplyPosition(FORMAT)
        self._files = Files(self._place)
        self._pieces: Pieces | None = None
        self._about: list[Json] = []

    def take(self, piece: Json, reply_id: str) -> Json:
        """The delta that one piece means, empty where it says nothing. Raises UpstreamError for a
        broken answer."""
        delta: Json = {}
        for part in (piece.get("content") or {}).get("parts") or ():
            self._part(part, delta, reply_id)
        for name in sorted(NOT_SENT & piece.keys()):
            about = {name: piece[name]}
            if piece[name] and about not in self._about:
                self._about.append(about)
        if piece.get("finishReason"):
            self.reason = str(piece["finishReason"])
            self._message = str(piece.get("finishMessage") or self._message)
            if self.reason in BROKEN:
                raise self._failure()
        return delta

    def held(self) -> list[Json]:
        """The call whose arguments are being streamed, if any."""
        return [self._pieces.delta()] if self._pieces is not None else []

    def end(self) -> tuple[Json, Json]:
        """What is owed of the message at the end, and what the choice says of it. Raises
        UpstreamError where there is no answer at all."""
        said_nothing = not (self._place.length or self._place.calls or self._files.count)
        if said_nothing and self.reason in FAILED_IF_EMPTY:
            raise self._failure()
        delta: Json = {}
        self._end_call(delta)
        found = sources("".join(self._text), self._about) if self._about else []
        if found:
            delta["annotations"] = found
        if self._about:
            delta["provider_content"] = [self._place.build_item(about, {}) for about in self._about]
        if self._files.rest():
            delta["audio"] = {"data": self._files.rest()}
        ending = {"finish_reason": self._finish_reason()}
        if self.reason not in SAID_BY_OURS:
            ending["native_finish_reason"] = str(self.reason)
        if ending["finish_reason"] == "content_filter" and said_nothing:
            delta["refusal"] = self._message or f"The provider stopped the answer: {self.reason}."
        elif said_nothing:
            delta["content"] = ""
        return delta, ending

    def _finish_reason(self) -> str:
        if self.reason in FILTERED:
            return "content_filter"
        if self.reason == "MAX_TOKENS":
            return "length"
        return "tool_calls" if self._place.calls else "stop"

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
        elif self._files.take(part, delta, reply_id):
            self._run = ""
        else:
            self._block(part, delta)

    def _begin(self, run: str) -> None:
        self._run, self._run_start, self._is_signed = run, self._place.offsets(), False

    def _speech(self, text: str, signature: str | None, delta: Json) -> None:
        if not text and not signature:
            return
        if self._run != "text" or (signature and self._is_signed):
            self._files.settle(delta)
            if self._run == "call":
                self._keep({}, self._place.offsets(), delta)
            self._begin("text")
        if text:
            delta["content"] = delta.get("content", "") + text
            self._text.append(text)
            self._place.length += len(text)
        if signature:
            self._is_signed = True
            self._detail(
                {"type": "reasoning.encrypted", "data": signature, **self._run_start}, delta
            )

    def _thought(self, part: Json, delta: Json) -> None:
        text, signature = part["text"] or "", part.get("thoughtSignature")
        if not text and not signature:
            return
        is_new = self._run != "thought" or (signature and self._is_signed)
        detail = {"text": text}
        if is_new:
            self._files.settle(delta)
            self._begin("thought")
            detail.update({"type": "reasoning.text", **self._run_start})
        if text:
            delta["reasoning_content"] = delta.get("reasoning_content", "") + text
        if signature:
            self._is_signed = True
            detail["signature"] = signature
        self._detail(detail, delta, continues=not is_new)

    def _detail(self, detail: Json, delta: Json, continues: bool = False) -> None:
        """A reasoning item, or more of the last one: then only what is new is said, as clients add
        up what they are told."""
        details = delta.setdefault("reasoning_details", [])
        if not continues:
            details.append({**detail, "format": FORMAT, "index": self._place.reasoning})
            self._place.reasoning += 1
        elif details:
            details[-1]["text"] += detail.pop("text")
            details[-1].update(detail)
        else:
            details.append({**detail, "index": self._place.reasoning - 1})

    def _call(self, part: Json, delta: Json, reply_id: str) -> None:
        call = part["functionCall"]
        if self._pieces is not None and not call.get("name"):
            self._call_on(call, delta)
            return
        self._end_call(delta)
        self._files.settle(delta)
        name, goes_on = str(call.get("name") or ""), bool(call.get("willContinue"))
        if name == ANSWER_TOOL and not goes_on:
            self._speech(format_arguments(call.get("args")), part.get("thoughtSignature"), delta)
            return
        arguments = "" if goes_on else format_arguments(call.get("args"))
        delta.setdefault("tool_calls", []).append(
            begun(part, self._place.calls, self._call_id(name, reply_id), arguments)
        )
        if goes_on:
            self._pieces = Pieces(self._place.calls)
            self._pieces.take(call)
        self._place.calls += 1
        self._run = "call"

    def _call_on(self, call: Json, delta: Json) -> None:
        if self._pieces is not None:
            self._pieces.take(call)
        if not call.get("willContinue"):
            self._end_call(delta)

    def _end_call(self, delta: Json) -> None:
        """Say the arguments of a call that was streamed."""
        if self._pieces is not None:
            delta.setdefault("tool_calls", []).append(self._pieces.delta())
            self._pieces = None

    def _call_id(self, name: str, reply_id: str) -> str:
        """An id where the wire has none: the same for the same reply, another for another one."""
        position = f"{self.index}_{self._place.calls}" if self.index else str(self._place.calls)
        return f"call_{reply_id or name}_{position}"

    def _block(self, block: Json, delta: Json) -> None:
        """A part that has no unified shape, kept whole for the next turn."""
        self._files.settle(delta)
        self._keep(block, self._place.offsets(), delta)
        self._run = ""

    def _keep(self, block: Json, here: Json, delta: Json) -> None:
        delta.setdefault("provider_content", []).append(self._place.build_item(block, here))
