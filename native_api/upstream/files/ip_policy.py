"""Which addresses belong to the public internet, and which may be internal. Looks no names up."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address

GLOBAL_UNICAST: Final = ip_network("2000::/3")
"""All IPv6 addresses in public use. Others are local, reserved, or stand for an IPv4 address."""

NAT64: Final = ip_network("64:ff9b::/96")
TUNNELS: Final = (ip_network("2001::/32"), ip_network("2002::/16"))
"""Teredo and 6to4, which lead to the IPv4 address in them."""

SPECIAL_IPV4: Final = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"))
"""Not public, although older versions of Python say so
(https://www.iana.org/assignments/iana-ipv4-special-registry)."""

INTERNAL_SUFFIXES: Final = (
    ".local",
    ".localhost",
    ".internal",
    ".intranet",
    ".lan",
    ".home.arpa",
    ".svc",
)


def unwrap_ipv4(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, or reached through NAT64), else the
    address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether everybody can reach the address, so that fetching from it gives nobody anything
    new."""
    address = unwrap_ipv4(address)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in SPECIAL_IPV4)
    return address in GLOBAL_UNICAST and not any(address in tunnel for tunnel in TUNNELS)


def parse_address(host: str) -> Address | None:
    """The IP address that a host (without brackets) is; None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def is_internal(base_url: str) -> bool:
    """Whether a provider's URL shows that it is in the site's own network: a private address, or a
    name that only a private network knows."""
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    address = parse_address(host)
    if address is not None:
        return not is_public(address)
    return "." not in host or host.endswith(INTERNAL_SUFFIXES)
