"""Newer lists of published prices: fetched, checked as a whole, and stored in the database.

Every process finds them there.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Final

import httpx
from django.db import router
from django.utils import timezone

from native_api.pricing import published
from native_api.upstream.redaction import redact_url

DEFAULT_URL: Final = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/"
    "prices/new_data/v2/data.json"
)
"""Where the project genai-prices publishes its newest lists (`DEFAULT_UPDATE_URL` in its package,
2026-11)."""

MAX_BYTES: Final = 20 * 1024 * 1024
MAX_SECONDS: Final = 60.0
"""For the whole download."""

TIMEOUT: Final = httpx.Timeout(10.0)
MAX_STORED_LISTS: Final = 3
"""The newest list and the ones before it."""


class UpdateFailed(Exception):
    """There are no new prices, and the old ones stay. The message says why."""


def update(url: str, minimum: int = 1) -> int:
    """Fetch the list at `url` and store it if at least `minimum` models in it have a price. Returns
    their number.

    Raises UpdateFailed. Queries the database.
    """
    text = fetch(url)
    try:
        priced = published.check(text)
    except ValueError as error:
        reason = _printable(str(error)[:500]).rstrip(".")
        raise UpdateFailed(f"The list at {redact_url(url)} cannot be used: {reason}.") from error
    if priced < minimum:
        raise UpdateFailed(
            f"Only {priced} models of the list at {redact_url(url)} have a price, fewer than "
            f"{minimum}. If that is right, run native_update_prices."
        )
    _store(text, redact_url(url))
    return priced


def _printable(text: str) -> str:
    """The text without what a database or a terminal does not take: it quotes the document."""
    return "".join(each if each.isprintable() else "?" for each in text)


def fetch(url: str) -> str:
    """The document at `url`. Raises UpdateFailed.

    Only HTTPS, except from this machine; no redirects; at most MAX_BYTES.
    """
    if not _is_allowed(url):
        raise UpdateFailed(
            f"Prices cannot be fetched from {redact_url(url)}. Use an address that begins with "
            "https://."
        )
    try:
        with httpx.stream(
            "GET", url, timeout=TIMEOUT, headers={"accept-encoding": "identity"}
        ) as response:
            if response.status_code != 200:
                raise UpdateFailed(f"{redact_url(url)} answered {response.status_code}.")
            return _read_body(response, url).decode()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UpdateFailed(
            f"{redact_url(url)} cannot be reached ({str(error) or type(error).__name__})."
        ) from error
    except UnicodeDecodeError as error:
        raise UpdateFailed(f"The document at {redact_url(url)} is not UTF-8 text.") from error


def _is_allowed(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
        return parsed.scheme == "https" or (parsed.scheme == "http" and _is_loopback(parsed.host))
    except httpx.InvalidURL:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_body(response: httpx.Response, url: str) -> bytes:
    """Not decompressed, so that a small document cannot become a huge one."""
    body, end = bytearray(), time.monotonic() + MAX_SECONDS
    for piece in response.iter_raw():
        body += piece
        if len(body) > MAX_BYTES:
            raise UpdateFailed(f"The document at {redact_url(url)} exceeds {MAX_BYTES} bytes.")
        if time.monotonic() > end:
            raise UpdateFailed(
                f"The download from {redact_url(url)} took more than {MAX_SECONDS:g} s."
            )
    return bytes(body)


def _store(text: str, url: str) -> None:
    """Keep the list, unless it is the newest one already: processes read each new row."""
    from native_api.models import PriceList

    # A replica may not have yet what was just written.
    lists = PriceList._base_manager.using(router.db_for_write(PriceList)).order_by("-pk")
    newest, source = lists.first(), url[:500]
    if newest is not None and newest.data == text:
        lists.filter(pk=newest.pk).update(fetched_at=timezone.now(), source=source)
        return
    lists.create(fetched_at=timezone.now(), source=source, data=text)
    kept = list(lists.values_list("pk", flat=True)[:MAX_STORED_LISTS])
    lists.exclude(pk__in=kept).delete()
