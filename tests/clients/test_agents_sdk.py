"""OpenAI's Agents SDK with every wire: it runs its tools until the model has answered."""

from __future__ import annotations

import asyncio

import pytest

from tests.clients.conftest import Gateway
from tests.clients.model import CONCLUSION, GOODBYE

pytestmark = [
    pytest.mark.slow,  # The dependency group `clients` has the SDK, which `.ci/full` installs.
    pytest.mark.filterwarnings("ignore"),
]


def test_a_conversation_with_tools(gateway: Gateway) -> None:
    from tests.clients.agents_client import converse

    assert asyncio.run(converse(gateway)) == (CONCLUSION, GOODBYE)
    assert gateway.upstream.refusals == []
    calls = [call.id for turn in gateway.upstream.inputs[-1].turns for call in turn.calls]
    assert len(set(calls)) == len(calls) == 3
