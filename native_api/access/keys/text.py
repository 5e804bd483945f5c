"""The text of an API key: generation, checksum, and the digest that is stored.

    nk_3f9a0c2e_<43 base62 characters: 256 random bits><6 base62 characters: CRC32 of all before>

Only letters, digits and underscores, so that a double click selects all of it.
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

KEY_START: Final = "nk_"
BASE36: Final = string.digits + string.ascii_lowercase
BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH: Final = 8
SECRET_LENGTH: Final = 43
CHECKSUM_LENGTH: Final = 6
PREFIX_LENGTH: Final = len(KEY_START) + ID_LENGTH
KEY_LENGTH: Final = PREFIX_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH
PATTERN: Final = re.compile(
    rf"{KEY_START}[0-9a-z]{{{ID_LENGTH}}}_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}"
)


class Shape(Enum):
    """What a credential looks like, before it is looked up."""

    KEY = "key"
    MISTYPED = "mistyped"
    FOREIGN = "foreign"


def generate() -> tuple[str, Secret]:
    """A new key: its prefix, which may be shown, and its text, which may be shown once."""
    prefix = KEY_START + "".join(secrets.choice(BASE36) for _ in range(ID_LENGTH))
    body = f"{prefix}_{_base62(secrets.randbits(256), SECRET_LENGTH)}"
    return prefix, Secret(body + _checksum(body))


def parse(text: str) -> Shape:
    """Whether `text` is a well-formed key, a key with a typo, or another kind of credential.

    If the typo is in the first three characters, the checksum of the rest shows that it is a key.
    """
    if _is_well_formed(text):
        return Shape.KEY
    if text.startswith(KEY_START) or _is_well_formed(
        KEY_START + text[len(KEY_START) - KEY_LENGTH :]
    ):
        return Shape.MISTYPED
    return Shape.FOREIGN


def is_foreign(text: str) -> bool:
    """Whether `text` is another kind of credential. Costs next to nothing for a key."""
    return not text.startswith(KEY_START) and parse(text) is Shape.FOREIGN


def digest(text: str) -> str:
    """The SHA-256 that is stored, 64 hex digits. A key has 256 random bits: no salt is needed."""
    return hashlib.sha256(text.encode()).hexdigest()


def _is_well_formed(text: str) -> bool:
    return (
        PATTERN.fullmatch(text) is not None
        and _checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]
    )


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))
