"""The scripted provider: what tests script, and what they look at afterwards."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from native_api.testing import answers
from native_api.testing.answers import Breakdown, Failure, Reply
from native_api.testing.calls import Call
from native_api.testing.script import Responder, Script
from native_api.usage.entry import UsageEntry

ResponderT = TypeVar("ResponderT", bound=Responder)


class ScriptedProvider:
    """Answers in the place of all providers of the site, and keeps what it was asked.

    `calls` are the calls that reached a provider, in their order. `records` are the usage records
    of all calls, also of those that were refused before.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.records: list[UsageEntry] = []
        self.problems: list[Exception] = []
        """What went wrong in the test's own code, such as a responder. Raised when the test
        ends."""
        self.script = Script()

    # --- what tests script -----------------------------------------------------------------------

    def reply(
        self,
        content: str | Mapping[str, Any] | None = None,
        *,
        json: Any = None,
        chunks: Sequence[str] = (),
        tool_calls: Sequence[Mapping[str, Any]] = (),
        usage: Mapping[str, Any] | None = None,
        finish_reason: str = "",
        model: str = "",
        provider: str = "",
        **message: Any,
    ) -> None:
        """Answer the next call with this text, or with this whole reply; without either, with
        `DEFAULT_REPLY`.

        `json` is sent as its text. `chunks` are the pieces of the text in a stream, which is sent
        word by word otherwise. `tool_calls` are made with `tool_call`; `message` are more members
        of the message. With `model` or `provider`, it is the next call of that model, or the next
        one that reaches that provider.
        """
        if isinstance(content, Mapping):
            self.script.add(Reply(content, chunks), model, provider)
            return
        if json is not None:
            content = json_module.dumps(json)
        elif chunks:
            content = "".join(chunks)
        elif content is None and not (tool_calls or message):
            content = answers.DEFAULT_REPLY
        body = answers.completion(
            content, tool_calls=tool_calls, usage=usage, finish_reason=finish_reason, **message
        )
        self.script.add(Reply(body, chunks), model, provider)

    def embed(
        self, vectors: Sequence[Sequence[float]], *, model: str = "", provider: str = ""
    ) -> None:
        """Answer the next call for embeddings with these vectors, one for each input."""
        self.script.add(Reply(answers.embeddings(vectors)), model, provider)

    def fail(
        self,
        status: int | Breakdown = 500,
        message: str = "",
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        after: Sequence[str] = (),
        model: str = "",
        provider: str = "",
    ) -> None:
        """Fail the next call, with its retries, as a provider does that answers with this status.

        The status may also be `"timeout"` or `"unreachable"`. A stream sends the chunks `after`
        first. With `provider`, only attempts at that provider fail: the call may be answered by
        another target of its route.
        """
        self.script.add(Failure(status, message, code, headers or {}, after), model, provider)

    def respond(self, function: ResponderT) -> ResponderT:
        """Answer every call that nothing else is scripted for with what `function(call)` returns: a
        text, a whole reply, or an answer. May be used as a decorator."""
        self.script.respond = function
        return function
