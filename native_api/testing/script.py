"""The script of a test: which answer each call gets."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from native_api.testing.answers import DEFAULT_REPLY, Answer, Failure, Reply, completion
from native_api.testing.calls import Attempt, Call
from native_api.upstream.echo import embeddings_reply

Response = str | Mapping[str, Any] | Answer
"""What a function given to `respond` returns: a text, a whole reply, or an answer."""

Responder = Callable[[Call], Response | Awaitable[Response]]


class Line(NamedTuple):
    """An answer, and the calls that it is for: "" stands for any model, any provider."""

    answer: Answer
    model: str
    provider: str

    def matches(self, call: Call, attempt: Attempt) -> bool:
        return (
            self.answer.answers(attempt.endpoint)
            and self.model in ("", call.model, attempt.model, str(attempt))
            and self.provider in ("", attempt.provider)
        )


class Script:
    """Each line is for one call. `respond` answers calls that no line is for."""

    def __init__(self) -> None:
        self.respond: Responder = lambda call: DEFAULT_REPLY
        self._lines: list[Line] = []
        self._failing: list[tuple[Call, Line]] = []
        """Failures, and the calls that met them: they fail all attempts of these."""
        self._lock = threading.Lock()

    def add(self, answer: Answer, model: str, provider: str) -> None:
        with self._lock:
            self._lines.append(Line(answer, model, provider))

    async def answer(self, call: Call, attempt: Attempt) -> Answer:
        """The answer to this attempt. Raises what `respond` raises."""
        with self._lock:
            answer = self._failed(call, attempt) or self._next(call, attempt)
        if answer is not None:
            return answer
        response = self.respond(call)
        if inspect.isawaitable(response):
            response = await response
        return _to_answer(response, attempt)

    def _failed(self, call: Call, attempt: Attempt) -> Answer | None:
        for failed, line in self._failing:
            if failed is call and line.matches(call, attempt):
                return line.answer
        return None

    def _next(self, call: Call, attempt: Attempt) -> Answer | None:
        for line in self._lines:
            if line.matches(call, attempt):
                self._lines.remove(line)
                if isinstance(line.answer, Failure):
                    self._failing.append((call, line))
                return line.answer
        return None


def _to_answer(response: Response, attempt: Attempt) -> Answer:
    """A text does not answer a request for embeddings: it gets the vectors of `echo`."""
    if not isinstance(response, str):
        return Reply(response) if isinstance(response, Mapping) else response
    if attempt.endpoint == "embeddings":
        return Reply(embeddings_reply(attempt.body))
    return Reply(completion(response))
