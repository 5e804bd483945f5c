"""LiteLLM as a client, with every wire. It wraps what it does not know of a reply, and sends it
back so: the thoughts of a model and their signatures must reach the model all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.clients.conftest import Gateway
from tests.clients.model import CONCLUSION, GOODBYE

pytestmark = [
    pytest.mark.slow,  # The dependency group `clients` has LiteLLM, which `.ci/full` installs.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(autouse=True)
def event_loop() -> Iterator[None]:
    """One that is closed: LiteLLM asks for the thread's, which asyncio makes and leaves open."""
    with asyncio.Runner() as runner:
        runner.get_loop()
        yield


def test_a_conversation_with_tools(gateway: Gateway) -> None:
    from tests.clients.litellm_client import converse

    assert converse(gateway) == (CONCLUSION, GOODBYE)
    assert gateway.upstream.refusals == []
    if gateway.can_think:
        turns = [turn for turn in gateway.upstream.inputs[-1].turns if turn.role == "model"]
        assert all(turn.thoughts for turn in turns), "every thought comes back to the model"
