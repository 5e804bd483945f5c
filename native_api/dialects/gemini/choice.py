"""One candidate of a reply, piece by piece, as unified deltas. A complete reply is a single piece,
so that it agrees with a stream.

Rules:
1. Parts are joined into runs: consecutive text is one run and consecutive thoughts are one, however
   a stream cuts them. A signature belongs to its run.
2. A delta says only what is new, because clients add up what they receive.
3. What needs the whole answer (annotations, metadata, the rest of the audio) is sent by `finish`.

See `shared.replay` for the offsets that record where a run stood. Source:
https://ai.google.dev/api/generate-content#v1beta.Candidate (read 2026-11).
"""

from __future__ import annotations

from native_api.dialects.gemini.annotations import build_annotations
from native_api.dialects.gemini.finish_reasons import (
    FAILURE_REASONS_IF_EMPTY,
    FULLY_MAPPED_REASONS,
    map_finish_reason,
)
from native_api.dialects.gemini.media import ReplyMedia
from native_api.dialects.gemini.replay import METADATA_FIELDS, WIRE
from native_api.dialects.gemini.tool_calls import StreamedArguments, build_tool_call
from native_api.dialects.shared.failure_reasons import is_failure
from native_api.dialects.shared.replay import ReplyPosition
from native_api.dialects.shared.tools import ANSWER_TOOL, format_arguments
from native_api.exceptions import UpstreamError
from native_api.types import Json


class ChoiceBuilder:
    """Builds one choice of a reply: `add` for each piece of the candidate, then `finish` once."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.reason: str | None = None
        self._reason_message = ""
        self._run = ""
        self._run_offsets: Json = {}
        self._run_is_signed = False
        self._texts: list[str] = []
        self._position = ReplyPosition(WIRE)
        self._media = ReplyMedia(self._position)
        self._streamed_arguments: StreamedArguments | None = None
        self._metadata: list[Json] = []

    def add(self, piece: Json, reply_id: str) -> Json:
        """The delta for one piece, empty if it says nothing. Raises UpstreamError for a failed
        answer."""
        delta: Json = {}
        for part in (piece.get("content") or {}).get("parts") or ():
            self._add_part(part, delta, reply_id)
        for name in sorted(METADATA_FIELDS & piece.keys()):
            metadata = {name: piece[name]}
            if piece[name] and metadata not in self._metadata:
                self._metadata.append(metadata)
        if piece.get("finishReason"):
            self.reason = str(piece["finishReason"])
            self._reason_message = str(piece.get("finishMessage") or self._reason_message)
            if is_failure(self.reason):
                raise self._build_failure()
        return delta

    def pending_calls(self) -> list[Json]:
        """The call whose arguments are still being streamed, if any."""
        if self._streamed_arguments is None:
            return []
        return [self._streamed_arguments.build_delta()]

    def finish(self) -> tuple[Json, Json]:
        """The last delta, and the choice's `finish_reason` and `native_finish_reason`. Raises
        UpstreamError if there is no answer at all."""
        is_empty = not (self._position.length or self._position.calls or self._media.count)
        if is_empty and self.reason in FAILURE_REASONS_IF_EMPTY:
            raise self._build_failure()
        delta = self._build_last_delta()
        ending = {"finish_reason": map_finish_reason(self.reason, bool(self._position.calls))}
        if self.reason not in FULLY_MAPPED_REASONS:
            ending["native_finish_reason"] = str(self.reason)
        if ending["finish_reason"] == "content_filter" and is_empty:
            delta["refusal"] = (
                self._reason_message or f"The provider stopped the answer: {self.reason}."
            )
        elif is_empty:
            delta["content"] = ""
        return delta, ending

    def _build_last_delta(self) -> Json:
        """What had to wait for the end of the answer."""
        delta: Json = {}
        self._finish_call(delta)
        if self._metadata:
            annotations = build_annotations("".join(self._texts), self._metadata)
            if annotations:
                delta["annotations"] = annotations
            delta["provider_content"] = [
                self._position.build_item(item, {}) for item in self._metadata
            ]
        audio = self._media.pending_audio()
        if audio:
            delta["audio"] = {"data": audio}
        return delta

    def _build_failure(self) -> UpstreamError:
        message = f" {self._reason_message}" if self._reason_message else ""
        return UpstreamError(f"The provider failed to write an answer: {self.reason}.{message}")

    # --- text and thoughts -----------------------------------------------------------------------

    def _add_part(self, part: Json, delta: Json, reply_id: str) -> None:
        if part.get("thought") and "text" in part:
            self._add_thought(part, delta)
        elif "text" in part or part.keys() <= {"thoughtSignature"}:
            self._add_text(part.get("text") or "", part.get("thoughtSignature"), delta)
        elif "functionCall" in part:
            self._add_call(part, delta)
        elif self._media.add(part, delta, reply_id):
            self._run = ""
        else:
            self._add_block(part, delta)

    def _begin_run(self, run: str) -> None:
        self._run, self._run_offsets, self._run_is_signed = run, self._position.offsets(), False

    def _add_text(self, text: str, signature: str | None, delta: Json) -> None:
        if not text and not signature:
            return
        if self._run != "text" or (signature and self._run_is_signed):
            self._media.place_images(delta)
            if self._run == "call":
                self._add_provider_content({}, self._position.offsets(), delta)
            self._begin_run("text")
        if text:
            delta["content"] = delta.get("content", "") + text
            self._texts.append(text)
            self._position.length += len(text)
        if signature:
            self._run_is_signed = True
            self._add_reasoning_item(
                {"type": "reasoning.encrypted", "data": signature, **self._run_offsets}, delta
            )

    def _add_thought(self, part: Json, delta: Json) -> None:
        text, signature = part["text"] or "", part.get("thoughtSignature")
        if not text and not signature:
            return
        is_new = self._run != "thought" or (signature and self._run_is_signed)
        item = {"text": text}
        if is_new:
            self._media.place_images(delta)
            self._begin_run("thought")
            item.update({"type": "reasoning.text", **self._run_offsets})
        if text:
            delta["reasoning_content"] = delta.get("reasoning_content", "") + text
        if signature:
            self._run_is_signed = True
            item["signature"] = signature
        self._add_reasoning_item(item, delta, is_continued=not is_new)

    def _add_reasoning_item(self, item: Json, delta: Json, is_continued: bool = False) -> None:
        """Add a reasoning item, or only what is new of the last one."""
        details = delta.setdefault("reasoning_details", [])
        if not is_continued:
            details.append({**item, "format": WIRE, "index": self._position.reasoning})
            self._position.reasoning += 1
        elif details:
            details[-1]["text"] += item.pop("text")
            details[-1].update(item)
        else:
            details.append({**item, "index": self._position.reasoning - 1})

    # --- calls and blocks ------------------------------------------------------------------------

    def _add_call(self, part: Json, delta: Json) -> None:
        call = part["functionCall"]
        if self._streamed_arguments is not None and not call.get("name"):
            self._continue_call(self._streamed_arguments, call, delta)
            return
        self._finish_call(delta)
        self._media.place_images(delta)
        name, will_continue = str(call.get("name") or ""), bool(call.get("willContinue"))
        if name == ANSWER_TOOL and not will_continue:
            self._add_text(format_arguments(call.get("args")), part.get("thoughtSignature"), delta)
            return
        arguments = "" if will_continue else format_arguments(call.get("args"))
        delta.setdefault("tool_calls", []).append(
            build_tool_call(part, self._position.calls, arguments)
        )
        if will_continue:
            self._streamed_arguments = StreamedArguments(self._position.calls)
            self._streamed_arguments.add(call)
        self._position.calls += 1
        self._run = "call"

    def _continue_call(self, arguments: StreamedArguments, call: Json, delta: Json) -> None:
        arguments.add(call)
        if not call.get("willContinue"):
            self._finish_call(delta)

    def _finish_call(self, delta: Json) -> None:
        """Send the arguments of a call that was streamed."""
        if self._streamed_arguments is not None:
            delta.setdefault("tool_calls", []).append(self._streamed_arguments.build_delta())
            self._streamed_arguments = None

    def _add_block(self, block: Json, delta: Json) -> None:
        """Keep a part that has no unified shape, for the next turn."""
        self._media.place_images(delta)
        self._add_provider_content(block, self._position.offsets(), delta)
        self._run = ""

    def _add_provider_content(self, block: Json, offsets: Json, delta: Json) -> None:
        delta.setdefault("provider_content", []).append(self._position.build_item(block, offsets))
