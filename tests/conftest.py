"""What holds for every test: nothing but loopback can be reached, and a slow machine is no failure."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from typing import Any

from hypothesis import HealthCheck, settings

# Where several test runs share a machine, making examples can be slow for reasons that no test is about.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


class NotLoopback(BaseException):
    """A test wants to leave the machine. No `except Exception` may hide that."""


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    connecting, address = arguments
    if connecting.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
        raise NotLoopback(address)


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


sys.addaudithook(_only_loopback)
