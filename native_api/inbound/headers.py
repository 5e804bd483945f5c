"""Headers of every response: no cache may keep it, and no text from outside can end a header."""

from __future__ import annotations

import re
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

MAX_NAMES: Final = 50
"""Names that a header lists. A request with thousands of unknown fields must not get a response
that proxies refuse."""

MAX_NAME: Final = 80
"""Characters."""

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


_REST: Final = re.compile(r"\.\.\.and (\d+) more")


def list_names(names: Iterable[str], listed: str = "") -> str:
    """A header's list of names, each once, after those that are `listed` already: `seed, user`.

    If there are too many it ends with `...and 12 more`.
    """
    parts = listed.split(", ") if listed else []
    rest = _REST.fullmatch(parts[-1]) if parts else None
    if rest is not None:
        parts.pop()
    parts += [safe_value(name[:MAX_NAME]) for name in names]
    parts = list(dict.fromkeys(parts))
    shown = parts[:MAX_NAMES]
    while sum(map(len, shown)) + 2 * len(shown) > MAX_VALUE - len("...and 1000000 more"):
        shown.pop()
    left_off = len(parts) - len(shown) + (int(rest[1]) if rest is not None else 0)
    return ", ".join([*shown, *([f"...and {left_off} more"] if left_off else [])])
