"""Headers of every response: no cache may keep it, and no text from outside can end a header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from native_api.conf import usable_settings

CALLER_HEADERS: Final = (
    "Authorization",
    "X-Api-Key",
    "Api-Key",
    "X-Goog-Api-Key",
    "Cookie",
    "Origin",
)
"""Request headers that can identify the caller. A site's authentication class names others in
`credential_headers`."""

NO_STORE: Final = "no-store"
NO_STORE_STREAM: Final = "no-cache, no-store"
"""`no-cache` as well, because some proxies buffer a stream without it."""

MAX_VALUE: Final = 1000
"""Characters. Servers and proxies refuse responses whose headers have more than a few kilobytes."""

_VARY: Final = ", ".join(CALLER_HEADERS)
_CALLER_NAMES: Final = frozenset(map(str.lower, CALLER_HEADERS))


def make_private(response: HttpResponseBase, authenticators: Iterable[Any] = ()) -> None:
    """Forbid caches to keep the response, and extend its Vary. `authenticators` are the view's."""
    response.headers["cache-control"] = NO_STORE_STREAM if response.streaming else NO_STORE
    declared = _declared(authenticators)
    if declared or "vary" in response.headers:
        patch_vary_headers(response, (*CALLER_HEADERS, *declared))
    else:
        response.headers["vary"] = _VARY


def _declared(authenticators: Iterable[Any]) -> list[str]:
    """The other headers that authentication classes of the site and of the view read."""
    names: dict[str, None] = {}
    for policy in (*usable_settings.DEFAULT_AUTHENTICATION_CLASSES, *authenticators):
        for name in getattr(policy, "credential_headers", ()):
            if name.lower() not in _CALLER_NAMES:
                names[name] = None
    return list(names)


def safe_value(text: str) -> str:
    """`text` for a header: printable ASCII of limited length. All other characters become `?`."""
    if len(text) > MAX_VALUE:
        text = f"{text[: MAX_VALUE - 3]}..."
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if " " <= character <= "~" else "?" for character in text)
