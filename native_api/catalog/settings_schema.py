"""What a site writes about its models, in NATIVE_API or as rows, read into values: targets, routes,
prices. Providers: `catalog`.

Every function raises ConfigurationError for what cannot be used, never with a secret in
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

from native_api.conf import is_integer, native_settings
from native_api.exceptions import ConfigurationError
from native_api.pricing import lookup, tables
from native_api.routing.route import P95, TIERS, AttemptLimits, Route, make_route
from native_api.types import STRATEGIES, Provider, Target, Timeouts

TARGET_KEYS: Final = frozenset(
    {"PROVIDER", "MODEL", "WEIGHT", "PRIORITY", "TIMEOUT", "RETRIES", "MAX_CONCURRENCY", "PRICE"}
)
ROUTE_KEYS: Final = frozenset({"TARGETS", "STRATEGY", "FALLBACKS", "CONTEXT_FALLBACKS", "HEDGE"})


class Problem(NamedTuple):
    """A catalog entry that cannot be used. `path` reads like `PROVIDERS['eu']`.

    `kind`: `definition`, `fallback`, `cycle`, or `key` if a stored key cannot be read.
    """

    path: str
    message: str
    hint: str
    kind: str = "definition"


def problem_of(path: str, error: ConfigurationError) -> Problem:
    return Problem(path, error.message, error.hint)


def only_known(definition: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(definition.keys() - known)
    if unknown:
        raise ConfigurationError(
            f"unknown key {unknown[0]!r}", f"Known: {', '.join(sorted(known))}."
        )


def whole_number(definition: Mapping[str, Any], name: str, least: int, otherwise: Any) -> Any:
    """The member, `otherwise` where there is none."""
    value = definition.get(name)
    if value is None:
        return otherwise
    if not is_integer(value, least):
        raise ConfigurationError(f"{name} must be a whole number from {least}", f"Not {value!r}.")
    return value


def boolean(definition: Mapping[str, Any], name: str) -> bool:
    """The member, False if there is none."""
    value = definition.get(name, False)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False", f"Not {value!r}.")
    return value


def texts(definition: Mapping[str, Any], name: str, what: str, example: str) -> tuple[str, ...]:
    """The member, a list of texts that are not empty; empty if there is none."""
    value = definition.get(name) or ()
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        isinstance(text, str) and text for text in value
    ):
        raise ConfigurationError(f"{name} must be a list of {what}", f"Such as [{example}].")
    return tuple(value)


def timeouts_of(value: Any, over: Mapping[str, Any] | None = None) -> Timeouts:
    """The site's timeouts with `over` and then `value` over them: a number is its TOTAL, an object
    names members."""
    own = value if isinstance(value, Mapping) else {} if value is None else {"TOTAL": value}
    of_calls = {
        name: seconds for name, seconds in native_settings.TIMEOUTS.items() if name != "BODY"
    }
    merged = {**of_calls, **(over or {}), **own}
    try:
        seconds = {name.lower(): float(number) for name, number in merged.items()}
        if any(not 0 < number < float("inf") for number in seconds.values()):
            raise ValueError
        return Timeouts(**seconds)
    except (TypeError, ValueError):
        raise ConfigurationError(
            "timeouts must be positive seconds",
            "Members: CONNECT, FIRST_TOKEN, BETWEEN_TOKENS, TOTAL.",
        ) from None


def attempt_limits_of() -> AttemptLimits:
    """The site's ATTEMPTS. Raises SettingError."""
    attempts = native_settings.ATTEMPTS
    return AttemptLimits(attempts["TOTAL"], attempts["SECONDS"])


def target_of(definition: Mapping[str, Any], providers: Mapping[str, Provider]) -> Target:
    only_known(definition, TARGET_KEYS)
    provider = providers.get(definition.get("PROVIDER") or "")
    if provider is None:
        raise ConfigurationError(
            f"no usable provider {definition.get('PROVIDER')!r}",
            "Define it under PROVIDERS or in the admin.",
        )
    if not definition.get("MODEL"):
        raise ConfigurationError("no MODEL", "Give the name the model has at the provider.")
    told = provider.timeouts
    providers_own = {
        "CONNECT": told.connect,
        "FIRST_TOKEN": told.first_token,
        "BETWEEN_TOKENS": told.between_tokens,
        "TOTAL": told.total,
    }
    timeout = definition.get("TIMEOUT")
    return Target(
        provider,
        definition["MODEL"],
        whole_number(definition, "WEIGHT", 0, 1),
        whole_number(definition, "PRIORITY", 0, 0),
        None if timeout is None else timeouts_of(timeout, providers_own),
        whole_number(definition, "RETRIES", 0, None),
        whole_number(definition, "MAX_CONCURRENCY", 1, None),
        tables.parse(definition.get("PRICE")) or provider.price,
    )


def route_of(
    name: str,
    definition: Mapping[str, Any],
    providers: Mapping[str, Provider],
    problems: list[Problem],
) -> Route:
    """The route, of what of it can be used. The rest is added to `problems`."""
    place = f"MODELS[{name!r}]"
    by_price = name in TIERS or definition.get("STRATEGY") == "cheapest"
    targets: list[Target] = []
    for position, told in enumerate(definition.get("TARGETS") or ()):
        try:
            target = target_of(told, providers)
            targets.append(
                replace(target, cost=lookup.blended_price(target)) if by_price else target
            )
        except ConfigurationError as error:
            problems.append(problem_of(f"{place}['TARGETS'][{position}]", error))
    if not targets:
        problems.append(
            Problem(place, "no usable target", "Give TARGETS: [{'PROVIDER': …, 'MODEL': …}].")
        )
    try:
        only_known(definition, ROUTE_KEYS)
        return make_route(name, targets, **_options(definition))
    except ConfigurationError as error:
        problems.append(problem_of(place, error))
        return make_route(name, targets)


def _options(definition: Mapping[str, Any]) -> dict[str, Any]:
    strategy = definition.get("STRATEGY") or None
    if strategy is not None and strategy not in STRATEGIES:
        raise ConfigurationError(
            f"unknown STRATEGY {strategy!r}", f"Known: {', '.join(STRATEGIES)}."
        )
    return {
        "strategy": strategy,
        "fallbacks": texts(definition, "FALLBACKS", "model names", "'gpt-4o-mini', 'local'"),
        "context_fallbacks": texts(
            definition, "CONTEXT_FALLBACKS", "model names", "'gpt-4o-mini', 'local'"
        ),
        "hedge_after": _hedge(definition.get("HEDGE")),
    }


def _hedge(value: Any) -> float | Literal["p95"] | None:
    """Seconds, also as text, since a row has only that."""
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


# --- fallbacks ---------------------------------------------------------------------------------------------


def fallback_problems(routes: Mapping[str, Route], is_known: Any) -> Iterable[Problem]:
    """Fallbacks that name nothing, and routes that come back to themselves."""
    for name, each in routes.items():
        for key, names in (
            ("FALLBACKS", each.fallbacks),
            ("CONTEXT_FALLBACKS", each.context_fallbacks),
        ):
            for unknown in (other for other in names if not is_known(other)):
                hint = "Name one of MODELS, or provider/model."
                yield Problem(
                    f"MODELS[{name!r}]['{key}']", f"there is no model {unknown!r}", hint, "fallback"
                )
            cycle = _cycle(name, routes, key)
            if cycle:
                hint = "Remove one of them."
                yield Problem(
                    f"MODELS[{name!r}]['{key}']",
                    f"the fallbacks form a cycle: {' > '.join(cycle)}",
                    hint,
                    "cycle",
                )


def _cycle(name: str, routes: Mapping[str, Route], key: str) -> list[str]:
    """The way from a route back to itself; empty where there is none."""
    ways, seen = [[name]], set[str]()
    for way in ways:
        for following in names_in(routes.get(way[-1]), key):
            if following == name:
                return [*way, name]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []


def names_in(each: Route | None, key: str) -> tuple[str, ...]:
    if each is None:
        return ()
    return each.fallbacks if key == "FALLBACKS" else each.context_fallbacks
