"""The model name under which a call counts in the daily totals.

Callers can invent names, and each name is a row of its own, so the names must be bounded.

Rules:
1. A route counts under its name. An unknown name counts under UNKNOWN_MODEL.
2. `provider/model` counts under its canonical name from the caller's first answer from it, and
   under UNKNOWN_MODEL until then.
3. A caller has at most MAX_NAMES_PER_CALLER of those names a day, so a server that answers to every
   name cannot make more. Answers of further models, also as fallbacks, count under UNKNOWN_MODEL.
4. The record keeps both the requested name and this one (`counted_as`), so that totals can be
   rebuilt from records.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from native_api.bounded_cache import BoundedCache
from native_api.types.model_names import Named, canonical

UNKNOWN_MODEL: Final = "(unknown)"

MAX_NAMES_PER_CALLER: Final = 100
"""In one day and one process."""

MAX_CALLERS: Final = 2000

NO_NAMES: Final[frozenset[str]] = frozenset()

_answered_names: Final = BoundedCache[Hashable, frozenset[str]](MAX_CALLERS)
"""The names that answered, by caller and day. A caller who was evicted starts with none."""


def is_answered(record: Any) -> bool:
    """Whether the `provider_model` of a record or an entry has produced anything."""
    return record.status == "ok" or int(record.completion_tokens) > 0


def name_in_totals(
    requested: Named | None, answering: Named | None, caller: Hashable, day: int
) -> str:
    """The name that a call counts under.

    `requested` is None if the name was never looked up. `answering` is None unless a model
    answered that the request names as `provider/model`.
    """
    if answering is not None and not _is_counted(answering, caller, day, is_answer=True):
        return UNKNOWN_MODEL
    if requested is None or not requested.is_known:
        return UNKNOWN_MODEL
    if not requested.provider:
        return requested.name
    if not _is_counted(requested, caller, day, is_answer=False):
        return UNKNOWN_MODEL
    return _full_name(requested)


def _is_counted(named: Named, caller: Hashable, day: int, is_answer: bool) -> bool:
    names, name = _answered_names.get((caller, day), NO_NAMES), _full_name(named)
    if is_answer and name not in names and len(names) < MAX_NAMES_PER_CALLER:
        names = _answered_names[caller, day] = names | {name}
    return name in names


def _full_name(named: Named) -> str:
    return f"{named.provider}/{canonical(named.model)}"
