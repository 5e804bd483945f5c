"""The limit on how deeply a provider's JSON may be nested.

orjson reads 1024 levels and writes 254 (https://github.com/ijl/orjson#serialize, 2026-11), and what
a provider sent is written inside our own objects. So deeper JSON is refused when it is read, as an
answer that cannot be understood. The limit is far above what answers need.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from native_api.exceptions import UpstreamError

MAX_DEPTH: Final = 100
"""Lower than a request's own limit of 128 levels, since clients send replies back in requests."""

MAX_WRITABLE_DEPTH: Final = 254

MAX_UNCHECKED_LENGTH: Final = 400
"""Bytes or characters. A level takes at least two, so a text of this length is never too deep."""


def check_depth(text: bytes | str) -> None:
    """Raise UpstreamError for JSON that is nested too deeply. Ignores text that is not JSON.

    Nearly all texts have few brackets; they are counted, but not parsed.
    """
    if len(text) <= MAX_UNCHECKED_LENGTH or count_brackets(text) <= MAX_DEPTH:
        return
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    check_value_depth(value)


def count_brackets(text: bytes | str) -> int:
    """The number of opening brackets, including those in strings: at least the depth.

    `replace` finds them many times faster than `count`.
    """
    if isinstance(text, bytes):
        return 2 * len(text) - len(text.replace(b"{", b"")) - len(text.replace(b"[", b""))
    return 2 * len(text) - len(text.replace("{", "")) - len(text.replace("[", ""))


def check_value_depth(value: Any) -> None:
    """The same for a value that was read from JSON.

    The value is put into so many lists that orjson refuses to write it if it is too deep.
    """
    for _ in range(MAX_WRITABLE_DEPTH - MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:
        raise UpstreamError(
            "The provider's answer cannot be understood: it is nested too deeply."
        ) from None
