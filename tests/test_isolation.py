"""The tests themselves: none of them can leave the machine."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.conftest import NotLoopback

ELSEWHERE = ("192.0.2.1", 80)
"""An address that documentation may use and nobody has (RFC 5737)."""


def test_nothing_but_loopback_can_be_reached() -> None:
    with socket.socket() as connecting, pytest.raises(NotLoopback):
        connecting.connect(ELSEWHERE)
    with pytest.raises(NotLoopback):
        asyncio.run(asyncio.wait_for(asyncio.open_connection(*ELSEWHERE), 1))
