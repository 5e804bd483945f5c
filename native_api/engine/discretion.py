"""What of a provider's words may reach a client: not where the provider is, nor what the gateway shows to get in.

Rules:
1. The provider's key and the values of its headers are taken out, wherever they stand.
2. So are addresses of the provider and of private networks. Others stay: they are the client's own, or lead to documentation.
3. Of a 401 nothing is passed on. It is about the gateway's key, and providers repeat the ends of it.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from native_api.exceptions import ProviderFault
from native_api.types import Provider

HIDDEN: Final = "(hidden)"
ADDRESS: Final = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+.-]*://(?:\[[0-9a-fA-F:.]+\])?[^\s\"'<>()\[\]{}`,;]*"  # with a scheme
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"  # bare IPv4
)
PRIVATE: Final = (".local", ".internal", ".lan", ".svc", ".localhost")
SHORTEST_SECRET: Final = 6
"""Characters. What is shorter is no secret, and may be a word."""


def attribute(fault: ProviderFault, provider: Provider) -> None:
    """Name the provider as the fault's cause, and make its message one for clients."""
    fault.provider = provider.name
    if fault.upstream_status == 401:
        fault.message = "The provider answered 401: it does not accept the gateway's key."
    else:
        fault.message = discreet(fault.message, provider)
    fault.args = (fault.message,)


def discreet(text: str, provider: Provider) -> str:
    # AWS's keys are several in one, told apart by colons.
    for secret in (provider.api_key, *provider.api_key.split(":"), *provider.headers.values()):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    here = urlsplit(provider.base_url).hostname or ""
    return ADDRESS.sub(lambda found: HIDDEN if _is_private(found[0], here) else found[0], text)


def _is_private(address: str, here: str) -> bool:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
        return not ip_address(host).is_global
    except ValueError:
        return host == here or "." not in host or host.endswith(PRIVATE)
