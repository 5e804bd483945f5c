"""Numbers in the query of a URL."""

from __future__ import annotations

from typing import Final

from native_api.exceptions import InvalidRequest

MAX_DIGITS: Final = 8


def read_number(written: str | None, name: str, default: int, maximum: int) -> int:
    """The parameter of this name, from 1 to the maximum. Raises InvalidRequest."""
    if written is None:
        return default
    is_number = written.isascii() and written.isdigit() and len(written) <= MAX_DIGITS
    if not is_number or not 1 <= int(written) <= maximum:
        raise InvalidRequest(f"{name}: expected a whole number from 1 to {maximum}", param=name)
    return int(written)
