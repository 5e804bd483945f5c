"""Model fields of our own: text that is encrypted at rest."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models

from native_api.conf import native_settings
from native_api.types import Secret


class EncryptedTextField(models.TextField):
    """Text stored as a Fernet token; Python sees a `Secret`. A token that no key opens reads as an empty secret.

    Keys: `NATIVE_API["SECRET_KEYS"]` (first encrypts, all decrypt), else Django's `SECRET_KEY` and its fallbacks.
    """

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Secret:
        return decrypt(value or "")

    def to_python(self, value: Any) -> Secret:
        return Secret(value or "")

    def get_prep_value(self, value: Any) -> str:
        return encrypt(value) if value else ""


def encrypt(text: str) -> str:
    return _cipher(_keys()).encrypt(text.encode()).decode()


def decrypt(token: str) -> Secret:
    if not token:
        return Secret("")
    try:
        return Secret(_cipher(_keys()).decrypt(token.encode()).decode())
    except InvalidToken:
        return Secret("")


def _keys() -> tuple[str, ...]:
    return tuple(native_settings.SECRET_KEYS) or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key)) for key in keys])


def _derive(key: str) -> bytes:
    """A Fernet key from a passphrase that already has enough entropy (Django checks `SECRET_KEY` for that)."""
    derived = HKDF(SHA256(), 32, salt=None, info=b"native_api.models.fields.EncryptedTextField").derive(key.encode())
    return base64.urlsafe_b64encode(derived)
