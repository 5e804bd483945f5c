"""Which addresses are the public internet's, and which may lead inward. No name is looked up
here."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address

GLOBAL_UNICAST: Final = ip_network("2000::/3")
"""All of IPv6 that is given out: what lies elsewhere is local, reserved, or an IPv4 address in
disguise."""

NAT64: Final = ip_network("64:ff9b::/96")
TUNNELS: Final = (ip_network("2001::/32"), ip_network("2002::/16"))
"""Teredo and 6to4, which lead to the IPv4 address in them."""

SPECIAL: Final = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"))
"""Not everybody's, though older versions of Python take them for it
(https://www.iana.org/assignments/iana-ipv4-special-registry)."""

INNER_NAMES: Final = (
    ".local",
    ".localhost",
    ".internal",
    ".intranet",
    ".lan",
    ".home.arpa",
    ".svc",
)


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for: written as one, or reached through a NAT64
    gateway."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether everybody may reach an address, so that reaching it from here gives nobody
    anything."""
    address = plain(address)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in SPECIAL)
    return address in GLOBAL_UNICAST and not any(address in tunnel for tunnel in TUNNELS)


def literal(host: str) -> Address | None:
    """The address that a host is, without brackets; None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def leads_inward(base_url: str) -> bool:
    """Whether a provider's address tells that it stands in the site's own network: a private
    address, or a name that only a private network knows.
    """
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    address = literal(host)
    if address is not None:
        return not is_public(address)
    return "." not in host or host.endswith(INNER_NAMES)
