"""The text of a key: making one, telling a typo from a foreign credential, and the hash that is
stored.

    nk_3f9a0c2e_<43 base62 characters: 256 random bits><6 base62 characters: CRC32 of all before>

Letters, digits and underscores only, so a double click selects the whole of it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from enum import Enum
from typing import Final

from native_api.types import Secret

START: Final = "nk_"
BASE36: Final = string.digits + string.ascii_lowercase
BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH: Final = 8
SECRET_LENGTH: Final = 43
CHECK_LENGTH: Final = 6
PREFIX_LENGTH: Final = len(START) + ID_LENGTH
KEY_LENGTH: Final = PREFIX_LENGTH + 1 + SECRET_LENGTH + CHECK_LENGTH
PATTERN: Final = re.compile(
    rf"{START}[0-9a-z]{{{ID_LENGTH}}}_[0-9A-Za-z]{{{SECRET_LENGTH + CHECK_LENGTH}}}"
)


class Shape(Enum):
    """What a credential looks like, before anything is looked up."""

    KEY = "key"
    MISTYPED = "mistyped"
    FOREIGN = "foreign"


def generate() -> tuple[str, Secret]:
    """A new key's prefix, which may be shown, and its whole text, which may be shown once."""
    prefix = START + "".join(secrets.choice(BASE36) for _ in range(ID_LENGTH))
    body = f"{prefix}_{_base62(secrets.randbits(256), SECRET_LENGTH)}"
    return prefix, Secret(body + _check(body))


def parse(text: str) -> Shape:
    """Whether `text` is a key, a key with a slip in it, or something that never was one of ours.

    A slip in the first three characters would hide that it is ours; there the checksum of the rest
    tells.
    """
    if _is_whole(text):
        return Shape.KEY
    if text.startswith(START) or _is_whole(START + text[len(START) - KEY_LENGTH :]):
        return Shape.MISTYPED
    return Shape.FOREIGN


def digest(text: str) -> str:
    """What is stored of a key, 64 hex digits. A plain hash is enough: there are 256 random bits in
    it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _is_whole(text: str) -> bool:
    return (
        PATTERN.fullmatch(text) is not None and _check(text[:-CHECK_LENGTH]) == text[-CHECK_LENGTH:]
    )


def _check(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))
