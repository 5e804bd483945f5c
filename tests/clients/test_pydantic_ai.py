"""Pydantic AI's agent and OpenAI model with every wire."""

from __future__ import annotations

import asyncio

import pytest

from tests.clients.conftest import Gateway
from tests.clients.model import CONCLUSION, GOODBYE, REPORT, Report


@pytest.mark.parametrize("way", ["complete", "streamed"])
def test_a_conversation_with_tools(gateway: Gateway, way: str) -> None:
    from tests.clients.pydantic_ai_client import converse

    first, second = asyncio.run(converse(gateway, way))
    assert (first.output, second.output) == (CONCLUSION, GOODBYE)
    assert gateway.upstream.refusals == []
    assert len(gateway.upstream.inputs) == 4


@pytest.mark.parametrize("output", ["native", "tool"])
@pytest.mark.parametrize("way", ["complete", "streamed"])
def test_structured_output(gateway: Gateway, way: str, output: str) -> None:
    from pydantic_ai.exceptions import ModelHTTPError

    from tests.clients.pydantic_ai_client import ask_for_report

    if output == "tool" and not gateway.upstream.wire.can_force_tools:
        with pytest.raises(ModelHTTPError, match="tool_choice"):
            asyncio.run(ask_for_report(gateway, way, output))
        return
    assert asyncio.run(ask_for_report(gateway, way, output)) == Report.model_validate(REPORT)
    assert gateway.upstream.refusals == []
