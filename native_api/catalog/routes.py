"""Builds routes and their targets from definitions, and checks where fallbacks lead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from native_api.catalog.settings_schema import (
    Problem,
    check_keys,
    read_integer,
    read_string,
    read_strings,
    read_timeouts,
)
from native_api.exceptions import ConfigurationError
from native_api.pricing import lookup, tables
from native_api.routing.route import P95, TIERS, Route, make_route
from native_api.types import Provider, Target
from native_api.types.config import STRATEGIES

TARGET_KEYS: Final = frozenset(
    {
        "PROVIDER", "MODEL", "WEIGHT", "PRIORITY", "TIMEOUT", "TIMEOUTS", "RETRIES",
        "MAX_CONCURRENCY", "PRICE", "BASE_MODEL",
    }
)  # fmt: skip
ROUTE_KEYS: Final = frozenset({"TARGETS", "STRATEGY", "FALLBACKS", "CONTEXT_FALLBACKS", "HEDGE"})

EXAMPLE_MODELS: Final = "'gpt-4o-mini', 'local'"


class UnknownProvider(ConfigurationError):
    """A target names a provider that is not defined, or cannot be used."""


def build_route(
    name: str,
    definition: Mapping[str, Any],
    providers: Mapping[str, Provider],
    problems: list[Problem],
) -> Route:
    """The route, with the targets that can be used. What cannot be used is added to `problems`."""
    path = f"MODELS[{name!r}]"
    targets = list(_usable_targets(name, definition, providers, problems))
    if not targets:
        hint = "Give TARGETS: [{'PROVIDER': …, 'MODEL': …}]."
        kind = "provider" if _misses_provider(path, problems) else "definition"
        problems.append(Problem(path, "no usable target", hint, kind))
    try:
        check_keys(definition, ROUTE_KEYS)
        return make_route(name, targets, **_read_options(definition))
    except ConfigurationError as error:
        problems.append(Problem.from_error(path, error))
        return make_route(name, targets)


def _usable_targets(
    name: str,
    definition: Mapping[str, Any],
    providers: Mapping[str, Provider],
    problems: list[Problem],
) -> Iterator[Target]:
    path = f"MODELS[{name!r}]['TARGETS']"
    definitions = definition.get("TARGETS") or ()
    if not isinstance(definitions, list | tuple):
        problems.append(Problem(path, "must be a list", "Give a list of dictionaries."))
        return
    needs_cost = name in TIERS or definition.get("STRATEGY") == "cheapest"
    for index, target_definition in enumerate(definitions):
        try:
            target = build_target(target_definition, providers)
            yield replace(target, cost=lookup.blended_price(target)) if needs_cost else target
        except UnknownProvider as error:
            problems.append(Problem.from_error(f"{path}[{index}]", error, "provider"))
        except ConfigurationError as error:
            problems.append(Problem.from_error(f"{path}[{index}]", error))


def _misses_provider(path: str, problems: list[Problem]) -> bool:
    """Whether a target of the route has a provider that is not defined."""
    return any(each.kind == "provider" and each.path.startswith(path) for each in problems)


def build_target(definition: Any, providers: Mapping[str, Provider]) -> Target:
    """Raises ConfigurationError."""
    if not isinstance(definition, Mapping):
        raise ConfigurationError("must be a dictionary", "Such as {'PROVIDER': …, 'MODEL': …}.")
    check_keys(definition, TARGET_KEYS)
    name = read_string(definition, "PROVIDER")
    if not name:
        raise ConfigurationError("no PROVIDER", "Give the name of a provider.")
    provider = providers.get(name)
    if provider is None:
        raise UnknownProvider(
            f"no usable provider {name!r}",
            "Define it in PROVIDERS or in the admin.",
        )
    model = read_string(definition, "MODEL")
    if not model:
        raise ConfigurationError("no MODEL", "Give the name that the model has at the provider.")
    timeouts = read_timeouts(definition, provider.timeouts)
    return Target(
        provider,
        model,
        read_integer(definition, "WEIGHT", 0, 1),
        read_integer(definition, "PRIORITY", 0, 0),
        None if timeouts == provider.timeouts else timeouts,
        read_integer(definition, "RETRIES", 0, None),
        read_integer(definition, "MAX_CONCURRENCY", 1, None),
        tables.parse(definition.get("PRICE")) or provider.price,
        base_model=read_string(definition, "BASE_MODEL"),
    )


def _read_options(definition: Mapping[str, Any]) -> dict[str, Any]:
    strategy = definition.get("STRATEGY") or None
    if strategy is not None and strategy not in STRATEGIES:
        raise ConfigurationError(
            f"unknown STRATEGY {strategy!r}", f"Known: {', '.join(STRATEGIES)}."
        )
    return {
        "strategy": strategy,
        "fallbacks": read_strings(definition, "FALLBACKS", "model names", EXAMPLE_MODELS),
        "context_fallbacks": read_strings(
            definition, "CONTEXT_FALLBACKS", "model names", EXAMPLE_MODELS
        ),
        "hedge_after": _read_hedge(definition.get("HEDGE")),
    }


def _read_hedge(value: Any) -> float | Literal["p95"] | None:
    """Seconds may be written as text, since a row has only that."""
    if value in (None, "", P95):
        return value or None
    try:
        seconds = float(value)
        if isinstance(value, bool) or not 0 < seconds < float("inf"):
            raise ValueError
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"HEDGE {value!r} is neither seconds nor 'p95'", "Such as 2.5."
        ) from None
    return seconds


# --- fallbacks -----------------------------------------------------------------------------------


def fallback_problems(
    routes: Mapping[str, Route], is_known: Callable[[str], bool]
) -> Iterable[Problem]:
    """Fallbacks that name no model, and routes whose fallbacks lead back to them."""
    for name in routes:
        for key in ("FALLBACKS", "CONTEXT_FALLBACKS"):
            path = f"MODELS[{name!r}]['{key}']"
            for fallback in _fallbacks(routes.get(name), key):
                if not is_known(fallback):
                    hint = "Name one of MODELS, or provider/model."
                    yield Problem(path, f"there is no model {fallback!r}", hint, "fallback")
            cycle = _find_cycle(name, routes, key)
            if cycle:
                message = f"fallbacks form a cycle: {' > '.join(cycle)}"
                yield Problem(path, message, "Remove one of these fallbacks.", "cycle")


def _find_cycle(name: str, routes: Mapping[str, Route], key: str) -> list[str]:
    """The names on a shortest way from a route back to itself; empty if there is none."""
    ways, seen = [[name]], set[str]()
    for way in ways:
        for fallback in _fallbacks(routes.get(way[-1]), key):
            if fallback == name:
                return [*way, name]
            if fallback not in seen:
                seen.add(fallback)
                ways.append([*way, fallback])
    return []


def _fallbacks(route: Route | None, key: str) -> tuple[str, ...]:
    if route is None:
        return ()
    return route.fallbacks if key == "FALLBACKS" else route.context_fallbacks
