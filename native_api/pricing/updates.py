"""Newer lists of published prices: fetched, checked as a whole, and kept in the database, where
every process finds them."""

from __future__ import annotations

import ipaddress
import time
from typing import Final

import httpx
from django.utils import timezone

from native_api.pricing import published
from native_api.upstream.redaction import address_shown

MOST_BYTES: Final = 20 * 1024 * 1024
SECONDS: Final = 60.0
"""For the whole download."""

TIMEOUT: Final = httpx.Timeout(10.0)
KEPT: Final = 3
"""Lists that stay in the database: the newest one and some to look at."""


class NoUpdate(Exception):
    """There are no new prices; the message says why. The old ones stay."""


def usual_address() -> str:
    """Where the package's makers publish its newest list."""
    from genai_prices.update_prices import DEFAULT_UPDATE_URL

    return DEFAULT_UPDATE_URL


def update(url: str) -> int:
    """Fetch the list at `url` and store it. Returns how many models it prices. Raises NoUpdate;
    queries the database."""
    text = fetch(url)
    try:
        edition = published.read(text)
    except ValueError as error:
        raise NoUpdate(
            f"What {address_shown(url)} serves cannot be used: {str(error)[:500]}"
        ) from error
    _store(text, address_shown(url))
    return edition.priced


def fetch(url: str) -> str:
    """The document. Only over TLS, but for this machine itself; no redirects; never more than
    MOST_BYTES. Raises NoUpdate."""
    if not _is_safe(url):
        raise NoUpdate(
            f"{address_shown(url)} is no address to take prices from. It must begin with https://."
        )
    try:
        with httpx.stream(
            "GET", url, timeout=TIMEOUT, headers={"accept-encoding": "identity"}
        ) as response:
            if response.status_code != 200:
                raise NoUpdate(f"{address_shown(url)} answered {response.status_code}.")
            return _body(response, url).decode()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoUpdate(
            f"{address_shown(url)} cannot be reached: {error or type(error).__name__}"
        ) from error
    except UnicodeDecodeError as error:
        raise NoUpdate(f"What {address_shown(url)} serves is no text.") from error


def _is_safe(url: str) -> bool:
    try:
        told = httpx.URL(url)
        return told.scheme == "https" or (told.scheme == "http" and _is_here(told.host))
    except httpx.InvalidURL:
        return False


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _body(response: httpx.Response, url: str) -> bytes:
    """Undecoded: a small document must not become a huge one here."""
    body, end = bytearray(), time.monotonic() + SECONDS
    for piece in response.iter_raw():
        body += piece
        if len(body) > MOST_BYTES:
            raise NoUpdate(f"{address_shown(url)} serves more than {MOST_BYTES} bytes.")
        if time.monotonic() > end:
            raise NoUpdate(f"{address_shown(url)} takes longer than {SECONDS:g} s.")
    return bytes(body)


def _store(text: str, url: str) -> None:
    from native_api.models import PriceList

    PriceList.objects.create(fetched_at=timezone.now(), source=url[:500], data=text)
    kept = list(PriceList.objects.values_list("pk", flat=True)[:KEPT])
    PriceList.objects.exclude(pk__in=kept).delete()
