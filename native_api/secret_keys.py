"""The site's keys for what it encrypts: SECRET_KEYS, else Django's SECRET_KEY and its fallbacks.

The first key encrypts; every key decrypts. Each purpose has keys of its own, so that what was
encrypted for one is nothing for another.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from native_api.conf import native_settings


def secret_keys() -> tuple[str, ...]:
    """The passphrases of the site, the current one first."""
    return tuple(native_settings.SECRET_KEYS) or (
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
    )


@lru_cache(maxsize=32)
def make_cipher(purpose: bytes, keys: tuple[str, ...]) -> MultiFernet:
    """The cipher of a purpose with these passphrases."""
    return MultiFernet([Fernet(_derive(purpose, key)) for key in keys])


def _derive(purpose: bytes, key: str) -> bytes:
    """A Fernet key from a passphrase that already has enough entropy, which Django checks for
    `SECRET_KEY`."""
    derived = HKDF(SHA256(), 32, salt=None, info=purpose).derive(key.encode())
    return base64.urlsafe_b64encode(derived)
