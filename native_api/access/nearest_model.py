"""The model that a caller may have meant by a name that leads nowhere. Only models that the caller
may use are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from heapq import nlargest
from itertools import islice
from typing import Final

from native_api.access.model_access import may_use
from native_api.catalog.catalog import Catalog
from native_api.types import Caller

MAX_COMPARED: Final = 500
"""Names. Other requests wait while names are compared."""

MAX_MEASURED: Final = 20
"""Of these the names that share the most letters, which are compared in full: that takes longer."""

MAX_NAME: Final = 64
"""Characters that are compared."""

MATCHES: Final = 5
"""Names near the wrong one, of which the nearest that the caller may use is named."""


def suggest_model(snapshot: Catalog, caller: Caller, name: str) -> str:
    """A sentence to append to a message: ` Did you mean 'fast'?`; "" if no name is near."""
    for candidate in _list_candidates(snapshot, name):
        named = snapshot.named(candidate)
        if candidate != name and named.is_known and may_use(caller, named):
            return f" Did you mean {candidate!r}?"
    return ""


def _list_candidates(snapshot: Catalog, name: str) -> Iterator[str]:
    """Routes with a name like it, then the same model of providers with a name like its own."""
    yield from _find_near(name, snapshot.model_names)
    provider, slash, model = name.partition("/")
    if slash:
        yield from (f"{near}/{model}" for near in _find_near(provider, snapshot.providers))


def _find_near(name: str, names: Iterable[str]) -> list[str]:
    shown = name[:MAX_NAME]
    letters = Counter(shown.casefold())
    alike = nlargest(
        MAX_MEASURED,
        (each for each in islice(names, MAX_COMPARED) if len(each) <= 2 * MAX_NAME),
        key=lambda each: 2 * (letters & Counter(each.casefold())).total() - len(each),
    )
    return get_close_matches(shown, alike, MATCHES)
