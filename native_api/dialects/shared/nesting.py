"""How deeply a provider's JSON may be nested: far deeper than answers are, and so that all of it
can be encoded again for the client.

orjson reads 1024 levels and writes 254 (https://github.com/ijl/orjson#serialize, 2026-11), and what
a provider sent is written inside of our own objects. So what is deeper is refused where it comes
in, as an answer that cannot be understood.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from native_api.exceptions import UpstreamError

MAX_DEPTH: Final = 100
"""Clients send replies back as parts of requests, which may have 128 levels
(`parsers.MAX_DEPTH`)."""

MAX_WRITABLE_DEPTH: Final = 254

MAX_UNCHECKED_LENGTH: Final = 400
"""A level takes two bytes at least: what is no longer than this can be written inside of anything
of ours, and is not looked at."""


def check_depth(text: bytes | str) -> None:
    """Raise UpstreamError for JSON that is nested too deeply. Text that is not JSON is left to its
    reader.

    Text with few brackets, as nearly all of it, is only counted.
    """
    if len(text) <= MAX_UNCHECKED_LENGTH or count_brackets(text) <= MAX_DEPTH:
        return
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    check_value_depth(value)


def count_brackets(text: bytes | str) -> int:
    """The opening brackets, those inside of strings included: at least the depth. `replace` finds
    them many times faster than `count`."""
    if isinstance(text, bytes):
        return 2 * len(text) - len(text.replace(b"{", b"")) - len(text.replace(b"[", b""))
    return 2 * len(text) - len(text.replace("{", "")) - len(text.replace("[", ""))


def check_value_depth(value: Any) -> None:
    """The same for a value that was read from JSON: orjson refuses to write it when it is put into
    enough lists."""
    for _ in range(MAX_WRITABLE_DEPTH - MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except TypeError:
        raise UpstreamError(
            "The provider's answer cannot be understood: it is nested too deeply."
        ) from None
