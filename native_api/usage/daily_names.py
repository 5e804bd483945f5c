"""Under which name a call's model stands in the daily totals. Callers make names up, and each name
is a row of its own.

Rules:
1. A route stands under its name. A name that nobody here knows stands under UNKNOWN.
2. `provider/model` stands under its canonical name from the first answer that the caller had from
   it, and under UNKNOWN until then.
3. A caller has so many of those names in a day; servers that answer to every name cannot make more.
   Whatever further ones answer, fallbacks too, stands under UNKNOWN.
4. The record keeps what was asked, and this name (`counted_as`), so that totals can be made again
   from records.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

from native_api.types.model_names import Named, canonical

UNKNOWN: Final = "(unknown)"

MOST_NAMES: Final = 100
"""Of one caller, in a day and a process."""

MOST_CALLERS: Final = 2000

_answered: OrderedDict[Hashable, set[str]] = OrderedDict()
"""Names that answered, by caller and day. It may forget: the caller then has the names of the rest
of the day anew."""


def is_answered(record: Any) -> bool:
    """Whether something came of the model that a record or an entry names as `provider_model`."""
    return record.status == "ok" or int(record.completion_tokens) > 0


def daily_name(asked: Named | None, answering: Named | None, caller: Hashable, day: int) -> str:
    """`asked` is None where nobody looked the name up, `answering` where no model answered that the
    request names `provider/model`."""
    if answering is not None and not _is_counted(answering, caller, day, is_answer=True):
        return UNKNOWN
    if asked is None or not asked.is_known:
        return UNKNOWN
    if not asked.provider:
        return asked.name
    return _full_name(asked) if _is_counted(asked, caller, day, is_answer=False) else UNKNOWN


def _is_counted(named: Named, caller: Hashable, day: int, is_answer: bool) -> bool:
    names, name = _names_of(caller, day), _full_name(named)
    if is_answer and len(names) < MOST_NAMES:
        names.add(name)
    return name in names


def _full_name(named: Named) -> str:
    return f"{named.provider}/{canonical(named.model)}"


def _names_of(caller: Hashable, day: int) -> set[str]:
    names = _answered.pop((caller, day), None) or set()
    _answered[caller, day] = names
    while len(_answered) > MOST_CALLERS:
        _answered.popitem(last=False)
    return names
