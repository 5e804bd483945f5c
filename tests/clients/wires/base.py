"""The base of the scripted wires. A wire parses requests as the provider would, refusals included,
and writes replies as the provider does.

A wire is one file and one line of `WIRES`. It is tested if a dialect of its name exists.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from tests.clients.model import ModelInput, ModelOutput, generate
from tests.scripted_provider import Exchange, Received, Script

KEY = "sk-upstream-secret"


class RequestRefused(Exception):
    """The provider refuses the request. `message` goes into the body of the error."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def require(condition: Any, message: str) -> None:
    if not condition:
        raise RequestRefused(message)


def check_members(value: dict[str, Any], *names: str, path: str) -> None:
    """Refuse members that are not among `names`, as providers do."""
    unknown = value.keys() - set(names)
    require(not unknown, f"{path}: unknown field {', '.join(sorted(unknown))}")


def sign(thought: str) -> str:
    """A signature that proves that a thought is the model's own."""
    return "sig-" + hashlib.sha256(thought.encode()).hexdigest()


def split_text(text: str, size: int = 7) -> list[str]:
    """The text in pieces, as in a stream."""
    return [text[start : start + size] for start in range(0, len(text), size)]


class Wire(ABC):
    """One wire. `models` are names for which the dialect builds different requests."""

    dialect: ClassVar[str]
    models: ClassVar[tuple[str, ...]]
    media_type: ClassVar[str] = "text/event-stream"
    usage_fields: ClassVar[tuple[str, ...]] = ("usage",)
    id_fields: ClassVar[tuple[str, ...]] = ("id",)
    counts_cached: ClassVar[bool] = True
    """Whether its usage counts the tokens read from a cache: five, in these replies."""
    can_force_tools: ClassVar[bool] = True

    def build_settings(self, url: str) -> dict[str, Any]:
        """The provider in a site's settings."""
        return {"DIALECT": self.dialect, "BASE_URL": url, "API_KEY": KEY}

    def can_think(self, model: str) -> bool:
        """Whether the model's replies contain thoughts, which must come back on the next turn."""
        return False

    @abstractmethod
    def parse_request(self, received: Received) -> ModelInput:
        """The input of the model. Raises RequestRefused if the provider would answer 400."""

    @abstractmethod
    def build_reply(self, model_input: ModelInput, output: ModelOutput) -> Any:
        """The complete reply, as JSON."""

    @abstractmethod
    def build_stream(self, model_input: ModelInput, output: ModelOutput) -> Iterable[bytes]:
        """The same reply in events."""

    @abstractmethod
    def build_error(self, problem: RequestRefused) -> Any:
        """The body of the error, as JSON."""

    def build_unknown_event(self) -> bytes:
        """An event of a type that no client knows."""
        return b'event: brand_new\ndata: {"type": "brand_new"}\n\n'

    def change_event(self, event: bytes, change: Callable[[Any], Any]) -> bytes:
        """The event with its JSON changed."""
        head, mark, data = event.partition(b"data: ")
        if not data.strip().startswith(b"{"):
            return event
        return head + mark + json.dumps(change(json.loads(data))).encode() + b"\n\n"


class ScriptedModel:
    """A provider that speaks one wire. Records the inputs of the model and the refused requests."""

    generate = staticmethod(generate)
    """What the model answers."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.inputs: list[ModelInput] = []
        self.refusals: list[str] = []
        self.script: Script | None = None
        """Set by a test to replace the replies of the model."""

    async def __call__(self, exchange: Exchange) -> None:
        if self.script is not None:
            await self.script(exchange)
            return
        try:
            model_input = self.wire.parse_request(exchange.received)
            output = self.generate(model_input)
        except (
            RequestRefused,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            ValueError,
        ) as error:
            problem = error if isinstance(error, RequestRefused) else RequestRefused(repr(error))
            self.refusals.append(str(problem))
            await exchange.json(self.wire.build_error(problem), problem.status)
            return
        self.inputs.append(model_input)
        await self._send(exchange, model_input, output)

    async def _send(self, exchange: Exchange, model_input: ModelInput, output: ModelOutput) -> None:
        if not model_input.stream:
            await exchange.json(self.wire.build_reply(model_input, output))
            return
        await exchange.head(
            200, {"content-type": self.wire.media_type, "transfer-encoding": "chunked"}
        )
        for event in self.wire.build_stream(model_input, output):
            await exchange.piece(event)
        await exchange.end()
