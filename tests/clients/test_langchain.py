"""LangChain's ChatOpenAI with every wire. It drops what it has no name for, such as thoughts and
their signatures."""

from __future__ import annotations

import pytest

from tests.clients.conftest import Gateway
from tests.clients.model import CONCLUSION, GOODBYE, REPORT, Report


@pytest.mark.parametrize("way", ["complete", "streamed"])
def test_a_conversation_with_tools(gateway: Gateway, way: str) -> None:
    from tests.clients.langchain_client import converse

    reply, goodbye = converse(gateway, way)
    assert reply.content == CONCLUSION
    assert reply.usage_metadata is not None
    if gateway.upstream.wire.counts_cached:
        assert reply.usage_metadata["input_token_details"].get("cache_read") == 5
    assert goodbye.content == GOODBYE
    assert gateway.upstream.refusals == []


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(gateway: Gateway, method: str) -> None:
    from openai import BadRequestError

    from tests.clients.langchain_client import ask_for_report

    if method == "function_calling" and not gateway.upstream.wire.can_force_tools:
        with pytest.raises(BadRequestError, match="tool_choice"):
            ask_for_report(gateway, method)
        return
    assert ask_for_report(gateway, method) == Report.model_validate(REPORT)
    assert gateway.upstream.refusals == []
