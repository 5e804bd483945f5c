"""The scripted providers: one server for each wire, and in it one provider for each case, which the
first part of the path names."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final
from uuid import uuid4

from scripts.acceptance.model import generate
from scripts.acceptance.wires import WIRES
from tests.clients.model import ModelInput, ModelOutput
from tests.clients.wires.base import ScriptedModel
from tests.scripted_provider import Exchange, Received, cuts, running_upstream

COUNTED: Final = 4711
"""The tokens of every prompt, where the provider counts them beforehand."""
EMBEDDING: Final = [0.25, -0.5, 1.0]

REPLY_ID: Final = re.compile(rb'"(chatcmpl-|response-|resp_|msg_|rs_|fc_)([0-9_]+)"')

Json = dict[str, Any]


def embed(received: Received) -> Json:
    texts = received.body["input"]
    number = len(texts) if isinstance(texts, list) else 1
    return {
        "object": "list",
        "model": received.model,
        "data": [
            {"object": "embedding", "index": index, "embedding": EMBEDDING}
            for index in range(number)
        ],
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }


OTHER_PATHS: Final[Mapping[str, Callable[[Received], Json]]] = {
    "/messages/count_tokens": lambda received: {"input_tokens": COUNTED},
    "/responses/input_tokens": lambda received: {
        "object": "response.input_tokens",
        "input_tokens": COUNTED,
    },
    ":countTokens": lambda received: {"totalTokens": COUNTED},
    "/embeddings": embed,
}
"""End of a path -> what is answered there. Everywhere else the model answers."""


class Provider(ScriptedModel):
    """The provider of one case: what reached it, and how it answers."""

    generate = staticmethod(generate)

    def __init__(self, wire: str) -> None:
        super().__init__(WIRES[wire]())
        self.url = ""
        self.received: list[Received] = []
        self.model = self.wire.models[0]
        self.breaks_streams = False
        """Whether every stream is cut off in its first part."""

    async def __call__(self, exchange: Exchange) -> None:
        self.received.append(exchange.received)
        path = exchange.received.path.partition("?")[0]
        for ending, answer in OTHER_PATHS.items():
            if path.endswith(ending):
                await exchange.json(answer(exchange.received))
                return
        await super().__call__(exchange)

    async def _send(self, exchange: Exchange, model_input: ModelInput, output: ModelOutput) -> None:
        name = partial(name_reply, uuid4().hex[:16])
        if not model_input.stream:
            reply = json.dumps(self.wire.build_reply(model_input, output)).encode()
            await exchange.whole(name(reply), headers={"content-type": "application/json"})
            return
        await exchange.event_stream(self.wire.media_type)
        events = list(self.wire.build_stream(model_input, output))
        for event in events[: len(events) // 4] if self.breaks_streams else events:
            await exchange.piece(name(event))
        if self.breaks_streams:
            await cuts(exchange)
        await exchange.end()


def name_reply(unique: str, text: bytes) -> bytes:
    """The text with ids that no other reply has. The tests' wires number them in each conversation
    from one, but clients and the gateway may know a reply and its items by their ids."""
    return REPLY_ID.sub(lambda match: b'"%b%b_%b"' % (match[1], unique.encode(), match[2]), text)


@contextlib.contextmanager
def running_providers(cases: Mapping[str, str]) -> Iterator[dict[str, Provider]]:
    """A provider for each case. `cases`: name of the case -> its wire."""
    providers = {name: Provider(wire) for name, wire in cases.items()}

    async def serve(exchange: Exchange) -> None:
        await providers[exchange.received.path.split("/")[1]](exchange)

    with contextlib.ExitStack() as stack:
        urls: dict[str, str] = {}
        for wire in sorted(set(cases.values())):
            server = stack.enter_context(running_upstream())
            server.default_script = serve
            urls[wire] = f"http://127.0.0.1:{server.port}"
        for name, wire in cases.items():
            providers[name].url = f"{urls[wire]}/{name}/v1"
        yield providers
