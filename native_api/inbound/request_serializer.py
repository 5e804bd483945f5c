"""The serializer that checks one kind of request, field by field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Final

from rest_framework import serializers

from native_api.conf import native_settings
from native_api.inbound.checks import (
    MAX_SHOWN,
    Check,
    CheckedField,
    Faults,
    FieldError,
    any_object,
    bounded_string,
    list_of,
    name,
    object_of,
    one_of,
    unknown_field,
)
from native_api.inbound.shapes import UnknownMember, strip_unknown
from native_api.inbound.spelling import find_misspelled
from native_api.types import Json

MAX_UNKNOWN_FIELDS: Final = 100
"""Each is compared with the known ones, and named in a header if it does not go on."""

MAX_UNKNOWN_NAME_LENGTH: Final = 100

MAX_MODEL_LENGTH: Final = 200
MAX_CONVERSATION_ID_LENGTH: Final = 256
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

    refused_fields: ClassVar[Mapping[str, str]] = {}
    """Fields that are known, but not taken: name -> what to do instead."""

    spelled_fields: ClassVar[frozenset[str]] = frozenset()
    """An unknown field that is probably a misspelling of one of these is an error."""

    def adapt(self, data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The request in the fields that are checked, and the names of what was left out. Raises
        FieldError."""
        return data, []

    def check(self, data: dict[str, Any]) -> tuple[Any, list[str]]:
        """The request, and the names of the unknown fields that were dropped because the site has
        `UNKNOWN_FIELDS = "drop"`. Those that were not dropped are in the request as they were
        written. Raises InvalidRequest."""
        checked = self._check(data)
        if native_settings.UNKNOWN_FIELDS != "drop":
            return checked, []
        known, paths = self.drop_unknown_members(checked)
        unknown = known.keys() - self._checks.keys()
        known = {key: known[key] for key in known if key not in unknown}
        return known, [*sorted(unknown), *paths]

    def drop_unknown_members(self, checked: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The request without unknown members of its objects, and their paths."""
        known, unknown = self._strip_members(checked)
        return known, [f"{member.path}.{member.name}" for member in unknown]

    def refuse_unknown_members(self, checked: dict[str, Any]) -> None:
        """Raise FieldError for an unknown member of one of the request's objects."""
        for member in self.list_unknown_members(checked):
            raise unknown_field(member.name, member.known, member.path)

    def list_unknown_members(self, checked: dict[str, Any]) -> list[UnknownMember]:
        """The members that the checks of the request's fields do not know."""
        return self._strip_members(checked)[1]

    def _strip_members(self, checked: dict[str, Any]) -> tuple[dict[str, Any], list[UnknownMember]]:
        """The request without the members that the checks of its fields do not know, and these."""
        unknown: list[UnknownMember] = []
        stripped = {
            name: strip_unknown(self._field_checks[name], value, name, unknown)
            if name in self._field_checks
            else value
            for name, value in checked.items()
        }
        return stripped, unknown

    @cached_property
    def _field_checks(self) -> dict[str, Check]:
        return {
            name: field.check
            for name, field in self.fields.items()
            if isinstance(field, CheckedField)
        }

    def check_known(self, data: dict[str, Any]) -> dict[str, Any]:
        """`check` for a request that the site's own code has written: all unknown fields go on."""
        unknown = {key: data[key] for key in data.keys() - self._checks.keys()}
        known = {key: value for key, value in data.items() if key not in unknown}
        return {**self._check(known), **unknown}

    def _check(self, data: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.to_internal_value(data)
        except FieldError as error:
            raise error.as_invalid_request() from None

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """For callers that use the serializer in DRF's way: the error is a dictionary of paths."""
        try:
            return super().run_validation(data)
        except FieldError as error:
            raise serializers.ValidationError(
                {error.path: [error.message]}, code=error.code
            ) from None

    def to_internal_value(self, data: dict[str, Any]) -> dict[str, Any]:
        """Checks the fields that were sent. Null is as good as absent. Raises the first fault, with
        the number of the others."""
        checks, faults = self._checks, Faults()
        checked: dict[str, Any] = {}
        unknown: list[str] = []
        for key, value in data.items():
            if value is None:
                continue
            check = checks.get(key)
            if check is None:
                unknown.append(key)
                checked[key] = value
                continue
            try:
                checked[key] = check(value)
            except FieldError as fault:
                faults.add(fault)
        if unknown:
            self._check_unknown(unknown, faults)
        faults.raise_first()
        if native_settings.UNKNOWN_FIELDS == "refuse":
            self.refuse_unknown_members(checked)
        self.check_together(checked)
        return checked

    def _check_unknown(self, names: list[str], faults: Faults) -> None:
        """Add the faults of these fields: those that do not go on."""
        for key in names:
            if key in self.refused_fields:
                faults.add(FieldError(key, self.refused_fields[key], "unsupported_field"))
        if len(names) > MAX_UNKNOWN_FIELDS:
            several = (
                f"one of {len(names)} unknown fields; at most {MAX_UNKNOWN_FIELDS} are allowed"
            )
            faults.add(FieldError(names[0][:MAX_SHOWN], several))
            return
        for key in names:
            fault = None if key in self.refused_fields else self._find_unknown_fault(key)
            if fault is not None:
                faults.add(fault)

    def _find_unknown_fault(self, key: str) -> FieldError | None:
        """The reason why an unknown field does not go on; None if it does."""
        if len(key) > MAX_UNKNOWN_NAME_LENGTH:
            return FieldError(
                key[:MAX_SHOWN],
                f"an unknown field's name has at most {MAX_UNKNOWN_NAME_LENGTH} characters",
            )
        misspelled = find_misspelled(key, self.spelled_fields)
        if misspelled or native_settings.UNKNOWN_FIELDS == "refuse":
            return unknown_top_level_field(key, misspelled)
        return None

    def check_together(self, checked: dict[str, Any]) -> None:
        """Checks that concern more than one field. Raises FieldError."""


def restore_written(data: Json, checked: Json, dropped_fields: list[str]) -> Json:
    """The request as it was written, without the fields and members that were dropped."""
    written = {name: value for name, value in data.items() if name not in dropped_fields}
    for path in dropped_fields:
        field = FIELD.match(path)
        if field is not None and field[0] in written:  # A member of it was dropped.
            written[field[0]] = checked[field[0]]
    return written


FIELD: Final = re.compile(r"[^.\[]+")
"""The top-level field of a path."""


def unknown_top_level_field(name: str, misspelled: str) -> FieldError:
    meant = f"did you mean '{misspelled}'? " if misspelled else ""
    return FieldError(
        name,
        f"unknown field; {meant}A field that only one provider has can be sent as "
        f"provider_options.PROVIDER.{name}",
        "unknown_field",
    )


def require(checked: Json, *names: str) -> None:
    """Raise FieldError if one of these fields is missing."""
    for required in names:
        if required not in checked:
            raise FieldError(required, "this field is required")


def require_model(checked: Json) -> None:
    """The same for the model, for which a tier may stand."""
    if "tier" not in checked:
        require(checked, "model")


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
tier: Final = one_of("simple", "moderate", "complex")
conversation_id: Final = name(MAX_CONVERSATION_ID_LENGTH)
fallbacks: Final = list_of(model, MAX_FALLBACKS)
provider_options: Final = object_of(any_object)
