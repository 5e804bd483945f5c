"""Names that lead to a route of another name, and names that are patterns (`claude-*-haiku-*`): for
clients whose model names are built in.

Rules:
1. A name of MODELS that means the requested model exactly wins, then `provider/model`, then the
   pattern with the most letters besides `*`.
2. An alias leads to a route, or to `provider/model`; not to another alias.
3. Access, limits and totals know the route that a name leads to. Requested names, which callers
   invent, are only in records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import translate
from typing import Any, Final

from native_api.catalog.settings_schema import Problem, check_keys, read_string
from native_api.exceptions import ConfigurationError
from native_api.types.model_names import Named

ALIAS: Final = "ALIAS"
ALIAS_KEYS: Final = frozenset({ALIAS})
ANY_LETTERS: Final = "*"


def is_alias(definition: Any) -> bool:
    return isinstance(definition, Mapping) and ALIAS in definition


def is_pattern(name: str) -> bool:
    return ANY_LETTERS in name


class NamePatterns:
    """Finds the pattern that means a name."""

    __slots__ = ("_patterns",)

    def __init__(self, names: Iterable[str]) -> None:
        patterns = sorted(filter(is_pattern, names), key=_rank)
        self._patterns = [(_compile(pattern), pattern) for pattern in patterns]

    def find(self, name: str) -> str | None:
        """The most specific pattern; None if there is none."""
        return next((pattern for match, pattern in self._patterns if match(name)), None)


def _rank(pattern: str) -> tuple[int, str]:
    return pattern.count(ANY_LETTERS) - len(pattern), pattern


def _compile(pattern: str) -> Callable[[str], Any]:
    """Only `*` means something. A caller cannot make the search slow (`fnmatch.translate`)."""
    literal = re.sub(r"[\[?]", r"[\g<0>]", pattern)
    return re.compile(translate(literal)).match


def build_aliases(
    definitions: Mapping[str, Any], find: Callable[[str], Named], problems: list[Problem]
) -> dict[str, Named]:
    """The aliases of MODELS, each with what it leads to. `find` knows all other names. What cannot
    be used is added to `problems`."""
    aliases: dict[str, Named] = {}
    for name, definition in definitions.items():
        if not is_alias(definition):
            continue
        path = f"MODELS[{name!r}]"
        try:
            aliases[name] = _build_alias(definition, definitions, find)
        except UnknownModel as error:
            problems.append(Problem.from_error(f"{path}[{ALIAS!r}]", error, "fallback"))
        except ConfigurationError as error:
            problems.append(Problem.from_error(path, error))
    return aliases


class UnknownModel(ConfigurationError):
    """An alias leads to no model."""


def _build_alias(
    definition: Mapping[str, Any], definitions: Mapping[str, Any], find: Callable[[str], Named]
) -> Named:
    check_keys(definition, ALIAS_KEYS)
    model = read_string(definition, ALIAS)
    if not model:
        raise ConfigurationError("no ALIAS", "Give the name of a model.")
    if is_alias(definitions.get(model)):
        raise ConfigurationError(
            f"leads to another alias, {model!r}", "Name the model that this one leads to."
        )
    named = find(model)
    if not named.is_known:
        hint = "Name one of MODELS, or provider/model."
        raise UnknownModel(f"there is no model {model!r}", hint)
    return named


def pattern_problems(names: Iterable[str], is_direct: Callable[[str], bool]) -> Iterator[Problem]:
    """Patterns that mean the same as another, or that no request can reach. `is_direct` says
    whether a name is `provider/model`."""
    known: dict[str, str] = {}
    for name in filter(is_pattern, names):
        path = f"MODELS[{name!r}]"
        plain = re.sub(r"\*+", ANY_LETTERS, name)
        if plain in known:
            message = f"means the same as {known[plain]!r}"
            yield Problem(path, message, "Remove one of them.")
        elif is_direct(name):
            yield Problem(
                path,
                "is never used: such names reach the provider directly",
                "Set ALLOW_DIRECT_MODELS to False, or use a name without the provider.",
            )
        known.setdefault(plain, name)
