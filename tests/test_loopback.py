"""Tests reach nothing but loopback."""

from __future__ import annotations

import socket

import pytest

from tests.conftest import NotLoopback


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80, 0, 0)])
def test_other_addresses_are_refused_before_anything_is_sent(address: tuple[object, ...]) -> None:
    family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as outside, pytest.raises(NotLoopback):
        outside.connect(address)
