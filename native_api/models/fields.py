"""Model fields for text that is encrypted at rest, money that is exact in every database, and
moments that are aware with every USE_TZ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from cryptography.fernet import InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils import timezone

from native_api.exceptions import UnreadableSecret
from native_api.secret_keys import make_cipher, secret_keys
from native_api.types import Secret
from native_api.types.config import COST_DECIMALS

PURPOSE: Final = b"native_api.models.fields.EncryptedTextField"
STORED_PREFIX: Final = "fernet:"
"""Distinguishes stored text from a key that somebody enters."""


class EncryptedText(str):
    """A secret as the database has it. Code that prints, dumps or serializes it gets the encrypted
    text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "EncryptedText('…')"


class EncryptedTextField(models.TextField):
    """Text that is encrypted for its row.

    Rules:
    1. The database, dumps, serializers and `.values()` contain a Fernet token after `fernet:`;
       `loaddata` stores it unchanged.
    2. The token contains a digest of the values of the fields in `bound_to`. When one of them
       changes, in any way, the text cannot be read any more.
    3. To store text, assign it and call `save()`. `update()` and `bulk_update()` do not know the
       row, so they refuse plain text.
    4. `read` returns the text. Text that cannot be read raises UnreadableSecret and is never taken
       for an empty one.

    The keys are `NATIVE_API["SECRET_KEYS"]` (the first encrypts, all decrypt), else Django's
    `SECRET_KEY` and its fallbacks. `save()` encrypts the text again with the first key if another
    key encrypted it.
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
        return EncryptedText(text) if not text or text.startswith(STORED_PREFIX) else Secret(text)

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
                f"{self.name} is not encrypted. Assign it to a row and call save(), which encrypts "
                "it for that row."
            )
        return str(value) if isinstance(value, str) else value

    def read(self, row: Any) -> Secret:
        """The row's text. Raises UnreadableSecret."""
        value = getattr(row, self.attname)
        if isinstance(value, Secret) or not value:
            return Secret(value)
        return _decrypt(value, self._binding(row))

    def _stored(self, row: Any) -> Any:
        value = getattr(row, self.attname)
        if isinstance(value, EncryptedText):
            return _rotate(value)
        if not value or not isinstance(value, Secret):
            return value
        content = json.dumps([self._binding(row), value]).encode()
        return EncryptedText(STORED_PREFIX + _cipher(secret_keys()).encrypt(content).decode())

    def _binding(self, row: Any) -> str:
        """A digest of the values that the text may be used with. Empty values of any type are
        equal, as they are for code that reads the row."""
        values = [getattr(row, name) or None for name in self.bound_to]
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


class _SecretAttribute(DeferredAttribute):
    """Turns assigned text into a `Secret`, so that no `repr` shows it before it is saved."""

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = self.field.to_python(value)


def _decrypt(stored: EncryptedText, binding: str) -> Secret:
    try:
        bound_to, text = json.loads(
            _cipher(secret_keys()).decrypt(stored.removeprefix(STORED_PREFIX))
        )
    except (InvalidToken, ValueError):
        raise UnreadableSecret(
            "its stored key cannot be read with this site's SECRET_KEY",
            "Add the key that encrypted it to NATIVE_API['SECRET_KEYS'] or to "
            "SECRET_KEY_FALLBACKS, or enter the provider's key again in the admin.",
        ) from None
    if bound_to != binding:
        raise UnreadableSecret(
            "its stored key cannot be read, because it was entered for another address or other "
            "options",
            "Enter the provider's key again in the admin.",
            moved=True,
        )
    return Secret(text)


def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return make_cipher(PURPOSE, keys)


def _rotate(stored: EncryptedText) -> EncryptedText:
    """The same text, encrypted with the first key. A token that no key can decrypt stays as it is,
    because its key may be configured again."""
    token, keys = stored.removeprefix(STORED_PREFIX), secret_keys()
    try:
        _cipher(keys[:1]).decrypt(token)
    except InvalidToken:
        with suppress(InvalidToken):
            return EncryptedText(STORED_PREFIX + _cipher(keys).rotate(token).decode())
    return stored


MONEY_PLACES: Final = COST_DECIMALS
UNITS: Final = Decimal(1).scaleb(-MONEY_PLACES)
EXACT: Final = Context(prec=24, rounding=ROUND_HALF_EVEN)
"""The digits of `numeric(24, 12)`. Raises InvalidOperation, an ArithmeticError, for an amount with
more digits."""


class MoneyField(models.DecimalField):
    """US dollars with twelve decimal places, below 10^12. Its values are `Decimal` and the same in
    every database.

    SQLite has no decimals: its columns of that type contain floats, which have 15 digits. There the
    amount is text of a fixed width, so that amounts >= 0 sort and compare correctly as text.
    """

    def __init__(self, verbose_name: Any = None, name: str | None = None, **options: Any) -> None:
        super().__init__(
            verbose_name,
            name,
            **{**options, "max_digits": EXACT.prec, "decimal_places": MONEY_PLACES},
        )

    def get_internal_type(self) -> str:
        # With the name that Django uses, its SQLite backend would read floats.
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
    """The amount in units of 10^-12 dollars, whose sums are exact in every database."""
    return int(amount.scaleb(MONEY_PLACES, EXACT))


class MomentField(models.DateTimeField):
    """A moment: an aware datetime, also on sites without USE_TZ, whose other datetimes are naive
    local time."""

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
