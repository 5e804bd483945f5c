"""What a scripted wire is: it reads requests as the provider would, refusals included, and writes
answers as the provider does.

A wire is one file and one line of `WIRES`. It is used as soon as the dialect of its name is there.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from tests.clients.model import Answer, Asked, answer
from tests.scripted_provider import Exchange, Received, Script

KEY = "sk-upstream-secret"


class Refused(Exception):
    """The provider answers with an error."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def demand(condition: Any, message: str) -> None:
    if not condition:
        raise Refused(message)


def known(value: dict[str, Any], *names: str, place: str) -> None:
    """Providers refuse fields that they do not know."""
    unknown = value.keys() - set(names)
    demand(not unknown, f"{place}: unknown field {', '.join(sorted(unknown))}")


def signed(thought: str) -> str:
    """What shows that a thought is the model's own."""
    return "sig-" + hashlib.sha256(thought.encode()).hexdigest()


def pieces(text: str, size: int = 7) -> list[str]:
    """As a stream cuts it."""
    return [text[start : start + size] for start in range(0, len(text), size)]


class Wire(ABC):
    """`models` are names for which the dialect speaks in different ways. `thinks` tells which of
    them think when asked to."""

    dialect: ClassVar[str]
    models: ClassVar[tuple[str, ...]]
    media_type: ClassVar[str] = "text/event-stream"
    usage_fields: ClassVar[tuple[str, ...]] = ("usage",)
    id_fields: ClassVar[tuple[str, ...]] = ("id",)
    counts_cached: ClassVar[bool] = True
    """Whether its usage tells tokens that came from a cache: five of them, in these answers."""
    can_force_tools: ClassVar[bool] = True

    def provider(self, url: str) -> dict[str, Any]:
        """The provider as a site's settings have it."""
        return {"DIALECT": self.dialect, "BASE_URL": url, "API_KEY": KEY}

    def thinks(self, model: str) -> bool:
        """Whether thoughts come with a model's answers, and go back whole on the next turn."""
        return False

    @abstractmethod
    def read(self, received: Received) -> Asked:
        """What was asked. Raises Refused for what the provider answers 400."""

    @abstractmethod
    def reply(self, asked: Asked, said: Answer) -> Any:
        """The whole answer, as JSON."""

    @abstractmethod
    def stream(self, asked: Asked, said: Answer) -> Iterable[bytes]:
        """The same answer, in events."""

    @abstractmethod
    def error(self, problem: Refused) -> Any:
        """The error's body."""

    def unknown(self) -> bytes:
        """An event of a type that nobody knows."""
        return b'event: brand_new\ndata: {"type": "brand_new"}\n\n'

    def changed(self, event: bytes, change: Callable[[Any], Any]) -> bytes:
        """The event with a change to its JSON."""
        head, mark, data = event.partition(b"data: ")
        if not data.strip().startswith(b"{"):
            return event
        return head + mark + json.dumps(change(json.loads(data))).encode() + b"\n\n"


class Scripted:
    """A wire at work: its script, and what it was asked."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.asked: list[Asked] = []
        self.refused: list[str] = []
        self.say: Script | None = None
        """Set by a test that wants something else said."""

    async def __call__(self, exchange: Exchange) -> None:
        if self.say is not None:
            await self.say(exchange)
            return
        try:
            asked = self.wire.read(exchange.received)
            said = answer(asked)
        except (Refused, KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            problem = error if isinstance(error, Refused) else Refused(repr(error))
            self.refused.append(str(problem))
            await exchange.json(self.wire.error(problem), problem.status)
            return
        self.asked.append(asked)
        await self._answer(exchange, asked, said)

    async def _answer(self, exchange: Exchange, asked: Asked, said: Answer) -> None:
        if not asked.stream:
            await exchange.json(self.wire.reply(asked, said))
            return
        await exchange.head(
            200, {"content-type": self.wire.media_type, "transfer-encoding": "chunked"}
        )
        for event in self.wire.stream(asked, said):
            await exchange.piece(event)
        await exchange.end()
