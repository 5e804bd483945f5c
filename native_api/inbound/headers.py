"""What the headers of every answer have in common: no cache may keep the answer, and no foreign
text can end a header early."""

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
"""Request headers that can say who asks. A site's own authentication class names its others in
`credential_headers`."""

NO_STORE: Final = "no-store"
NO_STORE_STREAM: Final = "no-cache, no-store"
"""`no-cache` as well, because some proxies buffer a stream without it."""

MAX_VALUE: Final = 1000
"""Characters. Servers and proxies refuse answers whose headers are longer than a few kilobytes in
all."""

_VARY: Final = ", ".join(CALLER_HEADERS)


def private_headers() -> dict[str, str]:
    """`cache-control` and `vary` for an answer that is written without an HttpResponse."""
    return {"cache-control": NO_STORE, "vary": ", ".join((*CALLER_HEADERS, *_declared(())))}


def make_private(response: HttpResponseBase, authenticators: Iterable[Any] = ()) -> None:
    """Forbid caches to keep the response, and keep the Vary that it has. `authenticators` are the
    view's."""
    response.headers["cache-control"] = NO_STORE_STREAM if response.streaming else NO_STORE
    declared = _declared(authenticators)
    if declared or "vary" in response.headers:
        patch_vary_headers(response, (*CALLER_HEADERS, *declared))
    else:
        response.headers["vary"] = _VARY


def _declared(authenticators: Iterable[Any]) -> list[str]:
    """What the site's authentication classes, and the view's, read beside the usual headers."""
    policies = (*usable_settings.DEFAULT_AUTHENTICATION_CLASSES, *authenticators)
    return list(
        dict.fromkeys(
            name for policy in policies for name in getattr(policy, "credential_headers", ())
        )
    )


def safe_value(text: str) -> str:
    """`text` as a header may carry it: printable ASCII of a bounded length. Everything else becomes
    `?`."""
    if len(text) > MAX_VALUE:
        text = f"{text[: MAX_VALUE - 3]}..."
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if " " <= character <= "~" else "?" for character in text)
