"""The serializer that checks one kind of request, field by field."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import cached_property
from typing import Any, Final

from rest_framework import serializers

from native_api.conf import native_settings
from native_api.exceptions import InvalidRequest
from native_api.inbound.checks import (
    MAX_SHOWN,
    Check,
    CheckedField,
    FieldError,
    any_object,
    bounded_string,
    list_of,
    name,
    object_of,
    unknown_field,
)

MAX_UNKNOWN_FIELDS: Final = 100
"""Fields that are dropped are named in a header."""

MAX_MODEL_LENGTH: Final = 200
MAX_METADATA_PAIRS: Final = 16
MAX_METADATA_KEY_LENGTH: Final = 64
MAX_METADATA_VALUE_LENGTH: Final = 512
MAX_FALLBACKS: Final = 16
"""More than ATTEMPTS ever tries. Each is looked up, checked for access and priced."""


class RequestSerializer(serializers.Serializer):
    """Checks a request. `check` is for the hot path; `is_valid` works as in any DRF serializer.

    Keeps no state of a request, so one instance serves all.
    """

    @cached_property
    def _checks(self) -> dict[str, Callable[[Any], Any]]:
        return {name: field.to_internal_value for name, field in self.fields.items()}

    def check(self, data: dict[str, Any]) -> tuple[Any, list[str]]:
        """The request, and the unknown fields that were dropped because the site is not STRICT.
        Raises InvalidRequest."""
        unknown: Set[str] = (
            frozenset() if native_settings.STRICT else data.keys() - self._checks.keys()
        )
        known_fields = (
            {key: value for key, value in data.items() if key not in unknown} if unknown else data
        )
        try:
            if len(unknown) > MAX_UNKNOWN_FIELDS:
                raise FieldError(
                    min(unknown)[:MAX_SHOWN],
                    f"one of {len(unknown)} unknown fields; "
                    f"at most {MAX_UNKNOWN_FIELDS} are dropped",
                )
            return self.to_internal_value(known_fields), sorted(unknown)
        except FieldError as error:
            raise InvalidRequest(error.message, code=error.code, param=error.path) from None

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """For callers that use the serializer in DRF's way: the error is a dictionary of paths."""
        try:
            return super().run_validation(data)
        except FieldError as error:
            raise serializers.ValidationError(
                {error.path: [error.message]}, code=error.code
            ) from None

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        """Checks the fields that were sent, and stops at the first that is wrong."""
        checks = self._checks
        checked: dict[str, Any] = {}
        for key, value in data.items():
            check = checks.get(key)
            if check is None:
                raise unknown_field(key, checks)
            if value is not None:
                checked[key] = check(value)
        self.check_together(checked)
        return checked

    def check_together(self, checked: dict[str, Any]) -> None:
        """Checks that concern more than one field. Raises FieldError."""


def field(check: Check) -> CheckedField:
    """An optional field, null as absent."""
    return CheckedField(check, required=False, allow_null=True)


# --- fields of several requests -------------------------------------------------------------------


def metadata(value: Any, path: str) -> dict[str, str]:
    """Kept in the usage record, with the limits that OpenAI sets."""
    if len(any_object(value, path)) > MAX_METADATA_PAIRS:
        raise FieldError(path, f"expected at most {MAX_METADATA_PAIRS} pairs")
    for key, item in value.items():
        bounded_string(MAX_METADATA_KEY_LENGTH)(key, path)
        bounded_string(MAX_METADATA_VALUE_LENGTH)(item, f"{path}.{key}")
    return dict(value)


model: Final = name(MAX_MODEL_LENGTH)
fallbacks: Final = list_of(model, MAX_FALLBACKS)
provider_options: Final = object_of(any_object)
