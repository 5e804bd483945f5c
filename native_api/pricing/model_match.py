"""Which names mean a model of a published list: `{"or": [{"equals": "gpt-4o"}, …]}`.

Names are compared in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple, Protocol

TESTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": str.__eq__,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
    "contains": str.__contains__,
}
RULES: Final[Mapping[str, Callable[[Iterable[bool]], bool]]] = {"or": any, "and": all}

COMPACT_DATE: Final = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class Match(Protocol):
    def matches(self, name: str) -> bool:
        """Whether the name, in lower case, means the model."""


class Comparison(NamedTuple):
    test: Callable[[str, str], bool]
    text: str

    def matches(self, name: str) -> bool:
        return self.test(name, self.text)


class Pattern(NamedTuple):
    pattern: re.Pattern[str]

    def matches(self, name: str) -> bool:
        return self.pattern.search(name) is not None


class Combination(NamedTuple):
    rule: Callable[[Iterable[bool]], bool]
    parts: tuple[Match, ...]

    def matches(self, name: str) -> bool:
        return self.rule(part.matches(name) for part in self.parts)


def parse(definition: Any) -> Match:
    """Raises ValueError."""
    if not isinstance(definition, dict) or len(definition) != 1:
        raise ValueError(f"a match must have one member, unlike {definition!r:.100}")
    ((kind, value),) = definition.items()
    if kind in RULES and isinstance(value, list):
        return Combination(RULES[kind], tuple(parse(part) for part in value))
    if kind in TESTS and isinstance(value, str):
        return Comparison(TESTS[kind], value.lower())
    if kind == "regex" and isinstance(value, str):
        return Pattern(_compile(value))
    raise ValueError(f"{definition!r:.100} is not a match")


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r:.100} is not a regular expression ({error})") from None


def write_dates_with_dashes(name: str) -> str:
    """`gpt-5.2-2025-12-11` for `gpt-5.2-20251211`, as LiteLLM and OpenRouter write it."""
    return COMPACT_DATE.sub(_with_dashes, name)


def _with_dashes(found: re.Match[str]) -> str:
    try:
        return f"-{date(*map(int, found.groups())):%Y-%m-%d}"
    except ValueError:  # such as the 31st of February
        return found[0]
