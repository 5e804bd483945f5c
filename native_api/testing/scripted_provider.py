"""The scripted provider: what tests script, and what they look at afterwards."""

from __future__ import annotations

import inspect
import json as json_module
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from native_api.testing import answers
from native_api.testing.answers import DEFAULT_REPLY, Answer, Breakdown, Failure, Reply
from native_api.testing.calls import Attempt, Call, Script
from native_api.upstream.echo import embeddings_reply
from native_api.usage import writer
from native_api.usage.entry import UsageEntry
from native_api.usage.journal import location
from native_api.usage.last_used import KeyUseTimes

Response = str | Mapping[str, Any] | Answer
"""What a function given to `respond` returns: a text, a whole reply, or an answer."""

Responder = Callable[[Call], Response | Awaitable[Response]]
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
        self.key_uses = KeyUseTimes()
        self._scripts: list[Script] = []
        self._respond: Responder = lambda call: DEFAULT_REPLY
        self._lock = threading.Lock()

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
        """Answer the next call with this text, or with this whole reply.

        `json` is sent as its text. `chunks` are the pieces of the text in a stream, which is sent
        word by word otherwise. `tool_calls` are made with `tool_call`; `message` are more members
        of the message. With `model` or `provider`, it is the next call of that model, or the next
        one that reaches that provider.
        """
        if isinstance(content, Mapping):
            self._add(Reply(content, chunks), model, provider)
            return
        if json is not None:
            content = json_module.dumps(json)
        elif chunks:
            content = "".join(chunks)
        body = answers.completion(
            content, tool_calls=tool_calls, usage=usage, finish_reason=finish_reason, **message
        )
        self._add(Reply(body, chunks), model, provider)

    def embed(
        self, vectors: Sequence[Sequence[float]], *, model: str = "", provider: str = ""
    ) -> None:
        """Answer the next call for embeddings with these vectors, one for each input."""
        self._add(Reply(answers.embeddings(vectors)), model, provider)

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
        self._add(Failure(status, message, code, headers or {}, after), model, provider)

    def respond(self, function: ResponderT) -> ResponderT:
        """Answer every call that nothing else is scripted for with what `function(call)` returns: a
        text, a whole reply, or an answer. May be used as a decorator."""
        self._respond = function
        return function

    def _add(self, answer: Answer, model: str, provider: str) -> None:
        with self._lock:
            self._scripts.append(Script(answer, model, provider))

    # --- what tests look at afterwards -----------------------------------------------------------

    def save_records(self) -> None:
        """Write the records to the database, as the gateway does in the background: with daily
        totals, budgets, signals, and when keys were last used. For tests that look at these."""
        alias = location.database_alias()
        entries = [UsageEntry.from_json(entry.to_json()) for entry in self.records]
        for _, error in writer.write(entries, alias, may_be_written=True):
            raise error
        self.key_uses.write(alias)

    # --- for the transport -----------------------------------------------------------------------

    async def answer(self, call: Call, attempt: Attempt) -> Answer:
        """Note this attempt of the call, and find its answer."""
        with self._lock:
            if not call.attempts:
                self.calls.append(call)
            call.attempts.append(attempt)
            script = self._take_script(call, attempt)
        if script is not None:
            return script.answer
        response = self._respond(call)
        return _to_answer(await response if inspect.isawaitable(response) else response, attempt)

    def _take_script(self, call: Call, attempt: Attempt) -> Script | None:
        """What is scripted for this attempt. A failure fails all attempts of its call."""
        for script in call.failures:
            if script.matches(call, attempt):
                return script
        for script in self._scripts:
            if script.matches(call, attempt):
                self._scripts.remove(script)
                if isinstance(script.answer, Failure):
                    call.failures.append(script)
                return script
        return None


def _to_answer(response: Response, attempt: Attempt) -> Answer:
    """A text does not answer a request for embeddings: it gets the vectors of `echo`."""
    if not isinstance(response, str):
        return Reply(response) if isinstance(response, Mapping) else response
    if attempt.endpoint == "embeddings":
        return Reply(embeddings_reply(attempt.body))
    return Reply(answers.completion(response))
