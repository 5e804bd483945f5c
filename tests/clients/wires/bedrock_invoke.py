"""Claude through Bedrock's InvokeModel: Anthropic's requests and replies at Amazon's address, its
events inside those of Amazon's stream.

https://platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any

from tests.clients.model import ModelInput, ModelOutput
from tests.clients.wires.anthropic import AnthropicWire
from tests.clients.wires.base import require
from tests.scripted_provider import Received

INVOKE = re.compile(
    r".*/model/us\.anthropic\.(claude-sonnet-4-5)-[^/]+/(invoke|invoke-with-response-stream)"
)


class InvokeModelWire(AnthropicWire):
    """The part of Bedrock that speaks Anthropic's wire. `BedrockWire` has checked the key."""

    def read_body(self, received: Received) -> dict[str, Any]:
        path = INVOKE.fullmatch(received.path)
        require(path, "UnknownOperationException")
        assert path
        body = dict(received.body)
        require(body.pop("anthropic_version") == "bedrock-2023-05-31", "anthropic_version: invalid")
        require(not body.keys() & {"model", "stream"}, "Extra inputs are not permitted")
        body.pop("anthropic_beta", None)
        return {**body, "model": path[1], "stream": path[2] != "invoke"}

    def build_payloads(self, model_input: ModelInput, output: ModelOutput) -> Iterable[Any]:
        """The payloads of Amazon's `chunk` events."""
        for event in self.build_stream(model_input, output):
            text = event.partition(b"data: ")[2].strip()
            yield {"bytes": base64.b64encode(text).decode(), "p": "abc"}
