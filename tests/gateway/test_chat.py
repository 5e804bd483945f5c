"""Chats from Python code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from native_api import gateway
from native_api.types import Caller
from native_api.usage import recorder
from native_api.usage.entry import UsageEntry

CHAT: Any = {"model": "echo/any", "messages": [{"role": "user", "content": "Hello there"}]}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[UsageEntry]]:
    handed: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", handed.append)
    with override_settings(NATIVE_API={"PROVIDERS": {"echo": {}}}):
        yield handed


@pytest.mark.parametrize("sent", [{}, {"stream": False}, {"stream": True}])
class TestWhatIsCalledDecides:
    """`stream` in the request does not."""

    def test_complete(self, sent: Any, records: list[UsageEntry]) -> None:
        chat = {**CHAT, **sent}
        reply = asyncio.run(gateway.complete(chat, Caller()))
        assert reply.completion["choices"][0]["message"]["content"] == "Hello there"
        assert not records[0].stream
        assert chat == {**CHAT, **sent}

    def test_stream(self, sent: Any, records: list[UsageEntry]) -> None:
        async def read() -> list[Any]:
            stream = await gateway.stream({**CHAT, **sent}, Caller())
            try:
                return [chunk async for batch in stream for chunk in batch]
            finally:
                await stream.aclose()

        deltas = [choice["delta"] for chunk in asyncio.run(read()) for choice in chunk["choices"]]
        assert "".join(delta.get("content") or "" for delta in deltas) == "Hello there"
        assert records[0].stream
