"""What the gateway fills in of a reply: `id`, `created` and `model`, and the ids of tool calls.

Clients, and providers on the next turn, match results to calls by these ids. So each call gets an
id that no other call of the conversation has, if its provider gave it none, or one that another
call of the reply has. Dialects cannot do it: they have no randomness.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from native_api.gateway.call_record import CallRecord
from native_api.types import ChatCompletion, ChatCompletionChunk, Json


class ReplyHead:
    """The head of one reply: the provider's, or ours if it sends none."""

    __slots__ = ("_call_ids", "created", "id", "model")

    def __init__(
        self, call_record: CallRecord, first: ChatCompletion | ChatCompletionChunk
    ) -> None:
        self.id = first.get("id") or f"chatcmpl-{call_record.record_id.hex}"
        self.created = first.get("created") or int(time.time())
        self.model = first.get("model") or (
            call_record.attempts.target.model if call_record.attempts.target else ""
        )
        self._call_ids: dict[tuple[int, str], Any] = {}
        """Choice and id -> the index of the call."""

    def apply(self, value: ChatCompletion | ChatCompletionChunk) -> None:
        """Give a reply or a chunk this head."""
        value["id"] = self.id
        value["created"] = self.created
        value["model"] = self.model

    def complete(self, reply: ChatCompletion) -> None:
        """Give a complete reply this head, and its calls their ids."""
        self.apply(reply)
        for choice in reply["choices"]:
            for index, call in enumerate(choice["message"].get("tool_calls") or ()):
                self._fill_call_id(choice["index"], index, call)

    def fill_call_ids(self, chunk: ChatCompletionChunk) -> bool:
        """Give the calls that begin in this chunk their ids. Returns whether one is ours."""
        has_new_id = False
        for choice in chunk["choices"]:
            for piece in choice["delta"].get("tool_calls") or ():
                if "id" in piece and self._fill_call_id(choice["index"], piece.get("index"), piece):
                    has_new_id = True
        return has_new_id

    def _fill_call_id(self, choice: int, index: Any, call: Json) -> bool:
        call_id: Any = call.get("id")
        if call_id and self._call_ids.setdefault((choice, call_id), index) == index:
            return False
        call["id"] = f"call_{secrets.token_hex(12)}"
        return True
