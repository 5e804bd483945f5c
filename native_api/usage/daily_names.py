"""Under which name a call's model stands in the daily totals. Callers make names up, and each name is a row of its own.

Rules:
1. A route stands under its name. A name that nobody here knows stands under UNKNOWN.
2. `provider/model` stands under its canonical name from the first answer that the caller had from it, and under UNKNOWN until then.
3. A caller has so many of those names in a day; servers that answer to every name cannot make more. Further ones stand under UNKNOWN.
4. The record keeps what was asked, and this name (`counted_as`), so that totals can be made again from records.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final

from native_api.model_names import Named, canonical

UNKNOWN: Final = "(unknown)"

MOST_NAMES: Final = 100
"""Of one caller, in a day and a process."""

MOST_CALLERS: Final = 2000

_answered: OrderedDict[Hashable, set[str]] = OrderedDict()
"""Names that answered, by caller and day. It may forget: the caller then has the names of the rest of the day anew."""


def is_answered(record: Any) -> bool:
    """Whether something came of the model that a record or an entry names as `provider_model`."""
    return record.status == "ok" or int(record.completion_tokens) > 0


def daily_name(named: Named, caller: Hashable, day: int, has_answered: bool) -> str:
    """`has_answered`: whether this very model answered this call."""
    if not named.is_known:
        return UNKNOWN
    if not named.provider:
        return named.name
    name = f"{named.provider}/{canonical(named.model)}"
    names = _names_of(caller, day)
    if has_answered and len(names) < MOST_NAMES:
        names.add(name)
    return name if name in names else UNKNOWN


def _names_of(caller: Hashable, day: int) -> set[str]:
    names = _answered.pop((caller, day), None) or set()
    _answered[caller, day] = names
    while len(_answered) > MOST_CALLERS:
        _answered.popitem(last=False)
    return names
