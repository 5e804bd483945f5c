"""Which names mean a model of a published list: `{"or": [{"equals": "gpt-4o"}, …]}`.

Names are compared in lower case. Lists are fetched, and callers choose names, so no match takes
long: a regular expression that could is refused.
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

MAX_DEPTH: Final = 10
"""Of rules within rules."""

MAX_NAME: Final = 256
"""Characters. No published model has a longer name."""

MAX_CHOICES: Final = 3
"""Of a regular expression. Each may multiply the time by the length of the name."""

INERT: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""Parts of a regular expression that match one character."""

CHOICELESS: Final = re.compile(r"\(\?(?:[:=!]|<[=!]|i\))|\{\d{1,2}\}")
"""The beginnings of groups, and fixed counts."""

REPEATED_GROUP: Final = re.compile(r"\)[*+{]")

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


def parse(definition: Any, max_depth: int = MAX_DEPTH) -> Match:
    """Raises ValueError."""
    if not max_depth:
        raise ValueError(f"a match has more than {MAX_DEPTH} levels")
    if not isinstance(definition, dict) or len(definition) != 1:
        raise ValueError(f"a match must have one member, unlike {definition!r:.100}")
    ((kind, value),) = definition.items()
    if kind in RULES and isinstance(value, list):
        return Combination(RULES[kind], tuple(parse(part, max_depth - 1) for part in value))
    if kind in TESTS and isinstance(value, str):
        return Comparison(TESTS[kind], value.lower())
    if kind == "regex" and isinstance(value, str):
        return Pattern(_compile(value))
    raise ValueError(f"{definition!r:.100} is not a match")


def _compile(pattern: str) -> re.Pattern[str]:
    if not _is_quick(pattern):
        raise ValueError(f"{pattern!r:.100} is a regular expression that may take long")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r:.100} is not a regular expression ({error})") from None


def _is_quick(pattern: str) -> bool:
    """Whether it has few choices, and none of them is made in each turn of a repetition."""
    skeleton = INERT.sub("x", pattern)
    if REPEATED_GROUP.search(skeleton):
        return False
    skeleton = CHOICELESS.sub("(", skeleton)
    choices = sum(map(skeleton.count, "*+?{|")) + (not skeleton.startswith("^"))
    return "(?" not in skeleton and choices <= MAX_CHOICES


def write_dates_with_dashes(name: str) -> str:
    """`gpt-5.2-2025-12-11` for `gpt-5.2-20251211`, as LiteLLM and OpenRouter write it."""
    return COMPACT_DATE.sub(_with_dashes, name)


def _with_dashes(found: re.Match[str]) -> str:
    try:
        return f"-{date(*map(int, found.groups())):%Y-%m-%d}"
    except ValueError:  # such as the 31st of February
        return found[0]
