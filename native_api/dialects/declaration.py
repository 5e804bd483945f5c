"""What a dialect has to declare, and what is wrong with one that does not. The dialects of this
package are tested with it, and those of a site are loaded with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, get_args

from native_api.dialects.base import Dialect, Framing
from native_api.dialects.shared.gateway_owned import OwnedMembers
from native_api.exceptions import ConfigurationError
from native_api.types import DIALECT_FIELDS

FIELD_SETS: Final = ("renamed_fields", "translated_fields", "omitted_fields", "refused_fields")

OWNED_FIELDS: Final = {
    "max_tokens": "output",
    "max_completion_tokens": "output",
    "n": "choices",
    "service_tier": "price",
    "store": "state",
}
"""Unified field -> the kind of owned member that it becomes on a wire that has it."""

DOCS_HINT: Final = "See docs/extending.md."


def find_errors(dialect: Any) -> Iterator[ConfigurationError]:
    """What is wrong with a dialect's class."""
    if not (isinstance(dialect, type) and issubclass(dialect, Dialect)):
        yield ConfigurationError(
            f"{getattr(dialect, '__name__', type(dialect).__name__)} is not a dialect",
            "Give a subclass of native_api.dialects.Dialect.",
        )
        return
    for message, hint in (
        *_method_errors(dialect),
        *_attribute_errors(dialect),
        *(_field_errors(dialect) if _has_field_sets(dialect) else ()),
    ):
        yield ConfigurationError(f"{dialect.__name__} {message}", hint)


def _method_errors(dialect: type[Dialect]) -> Iterator[tuple[str, str]]:
    missing = sorted(dialect.__abstractmethods__)
    if missing:
        yield f"has no {_join(missing)}", f"Every dialect has these methods. {DOCS_HINT}"
    if (
        dialect.wire
        and dialect.forward is Dialect.forward
        and dialect.edit_client_body is Dialect.edit_client_body
    ):
        yield (
            f"has the wire {dialect.wire!r}, but no edit_client_body",
            "Write it, or leave `wire` out: then requests are translated.",
        )


def _attribute_errors(dialect: type[Dialect]) -> Iterator[tuple[str, str]]:
    if not isinstance(getattr(dialect, "name", None), str):
        yield "has no name", "Set `name` to the name that it has in DIALECTS."
    if dialect.framing not in get_args(Framing):
        yield (
            f"has an unknown framing {dialect.framing!r}",
            f"Framings: {_join(get_args(Framing))}.",
        )
    if not isinstance(getattr(dialect, "renamed_fields", None), Mapping):
        yield "has no renamed_fields", "Set it to a dictionary: unified field -> body field."
    for name in FIELD_SETS[1:]:
        if not isinstance(getattr(dialect, name, None), frozenset | set):
            yield f"has no {name}", "Set it to a frozenset of unified fields; it may be empty."
    if not isinstance(getattr(dialect, "owned_members", None), OwnedMembers):
        yield (
            "has no owned_members",
            "Set it to OwnedMembers({…}): each member of the body that decides about the model, "
            f"the output limit, the price or the like -> the kind of decision. {DOCS_HINT}",
        )


def _has_field_sets(dialect: type[Dialect]) -> bool:
    return isinstance(getattr(dialect, "owned_members", None), OwnedMembers) and all(
        isinstance(getattr(dialect, name, None), Mapping | frozenset | set) for name in FIELD_SETS
    )


def _field_errors(dialect: type[Dialect]) -> Iterator[tuple[str, str]]:
    counts = Counter(field for name in FIELD_SETS for field in getattr(dialect, name))
    unknown, missing = counts.keys() - DIALECT_FIELDS, DIALECT_FIELDS - counts.keys()
    repeated = [field for field, count in counts.items() if count > 1]
    if unknown:
        yield (
            f"names fields that the unified request does not have: {_join(unknown)}",
            f"Fields: {_join(DIALECT_FIELDS)}.",
        )
    if repeated:
        yield f"has {_join(repeated)} in more than one set of fields", "Leave each in one of them."
    if missing:
        yield (
            f"has {_join(missing)} in none of {_join(FIELD_SETS)}",
            "Put each in one of them; refused_fields = DIALECT_FIELDS - … can take the rest.",
        )
    yield from _owned_errors(dialect)


def _owned_errors(dialect: type[Dialect]) -> Iterator[tuple[str, str]]:
    """A member that the dialect sets must not be open to `provider_options` as well."""
    kinds = set(dialect.owned_members.values())
    for field, kind in OWNED_FIELDS.items():
        if kind in kinds or field not in {*dialect.renamed_fields, *dialect.translated_fields}:
            continue
        kinds.add(kind)
        yield (
            f"sends {field}, but owned_members has no member of the kind {kind!r}",
            f"Add the member of the body that {field} becomes.",
        )


def _join(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
