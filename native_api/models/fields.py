"""Model fields of our own: text that is encrypted at rest, money that is exact in every database,
moments whatever USE_TZ says."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils import timezone

from native_api.conf import native_settings
from native_api.exceptions import UnreadableSecret
from native_api.types import COST_DECIMALS, Secret

MARK: Final = "fernet:"
"""Tells stored text from a key that somebody types."""


class EncryptedText(str):
    """What the database holds of a secret. Whatever prints, dumps or serializes it gets the
    encrypted text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "EncryptedText('…')"


class EncryptedTextField(models.TextField):
    """Text that is encrypted for the row in which it stands.

    Rules:
    1. The database, dumps, serializers and `.values()` have a Fernet token behind `fernet:`;
       `loaddata` takes it back unchanged.
    2. The token names the values that the fields in `bound_to` had. When one of them changes, by
       whatever way, the text cannot be read.
    3. To store text, assign it and call `save()`. `update()` and `bulk_update()` do not know the
       row, so they refuse plain text.
    4. `read` gives the text. Text that cannot be read raises UnreadableSecret; it never looks like
       an empty one.

    Keys: `NATIVE_API["SECRET_KEYS"]` (first encrypts, all decrypt), else Django's `SECRET_KEY` and
    its fallbacks. `save()` encrypts what another key encrypted with the first one.
    """

    def __init__(self, *arguments: Any, bound_to: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.bound_to = tuple(bound_to)

    def deconstruct(self) -> Any:
        name, path, arguments, options = super().deconstruct()
        return name, path, arguments, {**options, "bound_to": self.bound_to}

    def contribute_to_class(self, cls: Any, name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, self.attname, _SecretAttribute(self))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> EncryptedText:
        return EncryptedText(value or "")

    def to_python(self, value: Any) -> EncryptedText | Secret | Any:
        if isinstance(value, EncryptedText | Secret) or hasattr(value, "resolve_expression"):
            return value
        text = str(value or "")
        return EncryptedText(text) if not text or text.startswith(MARK) else Secret(text)

    def pre_save(self, model_instance: Any, add: bool) -> Any:
        stored = self._stored(model_instance)
        setattr(model_instance, self.attname, stored)
        return stored

    def value_to_string(self, obj: Any) -> str:
        return str(self._stored(obj))

    def get_prep_value(self, value: Any) -> Any:
        value = self.to_python(value)
        if isinstance(value, Secret) and value:
            raise ValueError(
                f"{self.name} is not encrypted. Assign it to a row and call save(), which encrypts it for that row."
            )
        return str(value) if isinstance(value, str) else value

    def read(self, row: Any) -> Secret:
        """The row's text. Raises UnreadableSecret."""
        value = getattr(row, self.attname)
        if isinstance(value, Secret) or not value:
            return Secret(value)
        return _opened(value, self._binding(row))

    def _stored(self, row: Any) -> Any:
        value = getattr(row, self.attname)
        if not isinstance(value, Secret):
            return _renewed(value) if isinstance(value, EncryptedText) else value
        return (
            EncryptedText(
                MARK
                + _cipher(_keys())
                .encrypt(json.dumps([self._binding(row), value]).encode())
                .decode()
            )
            if value
            else value
        )

    def _binding(self, row: Any) -> str:
        """Stands for what the text may be used with. Empty values of any type are equal, as they
        are to who reads the row."""
        values = [getattr(row, name) or None for name in self.bound_to]
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


class _SecretAttribute(DeferredAttribute):
    """Text that is assigned is a `Secret` from then on, so that no `repr` shows it before it is
    saved."""

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = self.field.to_python(value)


def _opened(stored: EncryptedText, binding: str) -> Secret:
    try:
        bound_to, text = json.loads(_cipher(_keys()).decrypt(stored.removeprefix(MARK)))
    except (InvalidToken, ValueError):
        raise UnreadableSecret(
            "its stored key cannot be read with this site's SECRET_KEY",
            "Add the key that encrypted it to NATIVE_API['SECRET_KEYS'] or to "
            "SECRET_KEY_FALLBACKS, or enter the provider's key again in the admin.",
        ) from None
    if bound_to != binding:
        raise UnreadableSecret(
            "its stored key cannot be read, since it was entered for another address or other options",
            "Enter the provider's key again in the admin.",
            moved=True,
        )
    return Secret(text)


def _renewed(stored: EncryptedText) -> EncryptedText:
    """The same, encrypted with the first key. What no key opens stays as it is: its key may come
    back."""
    token, keys = stored.removeprefix(MARK), _keys()
    try:
        _cipher(keys[:1]).decrypt(token)
    except InvalidToken:
        with suppress(InvalidToken):
            return EncryptedText(MARK + _cipher(keys).rotate(token).decode())
    return stored


def _keys() -> tuple[str, ...]:
    return tuple(native_settings.SECRET_KEYS) or (
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
    )


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key)) for key in keys])


def _derive(key: str) -> bytes:
    """A Fernet key from a passphrase that already has enough entropy (Django checks `SECRET_KEY`
    for that)."""
    derived = HKDF(
        SHA256(), 32, salt=None, info=b"native_api.models.fields.EncryptedTextField"
    ).derive(key.encode())
    return base64.urlsafe_b64encode(derived)


MONEY_PLACES: Final = COST_DECIMALS
UNITS: Final = Decimal(1).scaleb(-MONEY_PLACES)
EXACT: Final = Context(prec=24, rounding=ROUND_HALF_EVEN)
"""What `numeric(24, 12)` holds. Raises InvalidOperation, an ArithmeticError, where an amount has
more digits."""


class MoneyField(models.DecimalField):
    """US dollars to the twelfth decimal place, below 10^12 of them; Python sees a `Decimal`, the
    same in every database.

    SQLite has no decimals: its columns of that name hold floats, which keep 15 digits. There it is
    text of a fixed width, so that amounts of zero and more also sort and compare as text.
    """

    def __init__(self, verbose_name: Any = None, name: str | None = None, **options: Any) -> None:
        super().__init__(
            verbose_name,
            name,
            **{**options, "max_digits": EXACT.prec, "decimal_places": MONEY_PLACES},
        )

    def get_internal_type(self) -> str:
        # By Django's own name of it, its SQLite backend would read floats.
        return "MoneyField"

    def db_type(self, connection: Any) -> str:
        if connection.vendor == "sqlite":
            return "text"
        return str(
            models.DecimalField(
                max_digits=self.max_digits, decimal_places=self.decimal_places
            ).db_type(connection)
        )

    def cast_db_type(self, connection: Any) -> str:
        return self.db_type(connection)

    def to_python(self, value: Any) -> Any:
        amount = super().to_python(value)
        if amount is None:
            return None
        if not amount.is_finite():
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            )
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
    """A moment. Python gives an aware datetime and gets one back, also in a site whose USE_TZ is
    off, where others are naive local time."""

    def get_prep_value(self, value: Any) -> Any:
        moment = self.to_python(value)
        if moment is None or timezone.is_aware(moment) == settings.USE_TZ:
            return super().get_prep_value(moment)
        return (
            timezone.make_aware(moment)
            if settings.USE_TZ
            else timezone.make_naive(moment, timezone.get_default_timezone())
        )

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None or timezone.is_aware(value):
            return value
        return timezone.make_aware(value, timezone.get_default_timezone())
