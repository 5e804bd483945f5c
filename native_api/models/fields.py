"""Model fields of our own: text that is encrypted at rest, money that is exact in every database, moments whatever USE_TZ says."""

from __future__ import annotations

import base64
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from native_api.conf import native_settings
from native_api.prices import DECIMALS
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


MONEY_PLACES: Final = DECIMALS
UNITS: Final = Decimal(1).scaleb(-MONEY_PLACES)
EXACT: Final = Context(prec=24, rounding=ROUND_HALF_EVEN)
"""What `numeric(24, 12)` holds. Raises InvalidOperation, an ArithmeticError, where an amount has more digits."""


class MoneyField(models.DecimalField):
    """US dollars to the twelfth decimal place, below 10^12 of them; Python sees a `Decimal`, the same in every database.

    SQLite has no decimals: its columns of that name hold floats, which keep 15 digits. There it is text of a fixed width,
    so that amounts of zero and more also sort and compare as text.
    """

    def __init__(self, verbose_name: Any = None, name: str | None = None, **options: Any) -> None:
        super().__init__(verbose_name, name, **{**options, "max_digits": EXACT.prec, "decimal_places": MONEY_PLACES})

    def get_internal_type(self) -> str:
        # By Django's own name of it, its SQLite backend would read floats.
        return "MoneyField"

    def db_type(self, connection: Any) -> str:
        if connection.vendor == "sqlite":
            return "text"
        return str(models.DecimalField(max_digits=self.max_digits, decimal_places=self.decimal_places).db_type(connection))

    def cast_db_type(self, connection: Any) -> str:
        return self.db_type(connection)

    def to_python(self, value: Any) -> Any:
        amount = super().to_python(value)
        if amount is None:
            return None
        if not amount.is_finite():
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value})
        return amount.quantize(UNITS, context=EXACT)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        amount = self.to_python(value)
        return f"{amount:025.12f}" if connection.vendor == "sqlite" else amount

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        return self.get_db_prep_value(value, connection)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else Decimal(str(value)).quantize(UNITS, context=EXACT)


def units_of(amount: Decimal) -> int:
    """The amount in units of 10^-12 dollars, which can be added without error everywhere."""
    return int(amount.scaleb(MONEY_PLACES, EXACT))


class MomentField(models.DateTimeField):
    """A moment. Python gives an aware datetime and gets one back, also in a site whose USE_TZ is off, where others are naive local time."""

    def get_prep_value(self, value: Any) -> Any:
        moment = self.to_python(value)
        if moment is None or timezone.is_aware(moment) == settings.USE_TZ:
            return super().get_prep_value(moment)
        return timezone.make_aware(moment) if settings.USE_TZ else timezone.make_naive(moment, timezone.get_default_timezone())

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None or timezone.is_aware(value):
            return value
        return timezone.make_aware(value, timezone.get_default_timezone())
