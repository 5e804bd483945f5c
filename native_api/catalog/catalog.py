"""Settings and rows -> one immutable snapshot of providers, routes and targets. Settings win over
rows of the same name.

Rules:
1. A request uses one snapshot from beginning to end; a snapshot never changes.
2. How long a snapshot is used, and what happens while the database is unreachable, is decided by
   `CachedValue`. If no row was ever read, the settings alone are used.
3. An entry that cannot be built is left out and listed in `problems`, which `manage.py check` and
   the log report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from native_api.background.cached_value import CachedValue
from native_api.bounded_cache import BoundedCache
from native_api.catalog import plugins
from native_api.catalog.aliases import (
    NamePatterns,
    build_aliases,
    is_alias,
    is_pattern,
    pattern_problems,
)
from native_api.catalog.providers import build_usable_provider
from native_api.catalog.routes import build_route, fallback_problems
from native_api.catalog.settings_schema import Problem
from native_api.conf import native_settings
from native_api.exceptions import ModelNotFound
from native_api.logs import LogInterval, get_logger
from native_api.routing.route import DEFAULT_ATTEMPT_LIMITS, AttemptLimits, Route, make_route
from native_api.types import Provider, Target
from native_api.types.model_names import Named, canonical, is_plain

logger = get_logger("native_api.catalog")

MAX_DIRECT_ROUTES: Final = 1000
"""Routes of `provider/model` that a snapshot remembers."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """One snapshot."""

    providers: Mapping[str, Provider] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    """By name. Names may be patterns (`catalog.aliases`)."""
    aliases: Mapping[str, Named] = field(default_factory=dict)
    """Name or pattern -> the route or `provider/model` that it leads to."""
    problems: tuple[Problem, ...] = ()
    allow_direct: bool = True
    attempt_limits: AttemptLimits = DEFAULT_ATTEMPT_LIMITS
    _direct: BoundedCache[str, Route] = field(
        default_factory=lambda: BoundedCache(MAX_DIRECT_ROUTES), repr=False, compare=False
    )
    _routes_by_canonical_name: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """The names of routes and aliases that are called like a provider's model: no other spelling of
    that model may bypass them."""
    _patterns: NamePatterns = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        names: dict[str, str] = {}
        for name in (*self.routes, *self.aliases):
            provider, slash, model = name.partition("/")
            if slash and provider in self.providers:
                names[f"{provider}/{canonical(model)}"] = name
        object.__setattr__(self, "_routes_by_canonical_name", names)
        object.__setattr__(self, "_patterns", NamePatterns((*self.routes, *self.aliases)))

    @property
    def model_names(self) -> list[str]:
        """The names that clients can choose from. Patterns are none."""
        return sorted(name for name in (*self.routes, *self.aliases) if not is_pattern(name))

    def named(self, model: str) -> Named:
        """What a request means by `model`: a route or what an alias leads to, else `provider/model`
        of a provider, in any spelling, else what a pattern leads to."""
        exact = self._find_exact(model)
        if exact is not None:
            return exact
        provider, _, name = model.partition("/")
        if self.allow_direct and provider in self.providers and is_plain(name):
            route_name = self._routes_by_canonical_name.get(f"{provider}/{canonical(name)}")
            return self._find_exact(route_name or "") or Named(model, provider, name)
        pattern = self._patterns.find(model)
        return self._find_exact(pattern or "") or Named(model, is_known=False)

    def _find_exact(self, name: str) -> Named | None:
        return Named(name) if name in self.routes else self.aliases.get(name)

    def route(self, model: str) -> Route:
        """The route that serves `model`. Raises ModelNotFound."""
        remembered = self.routes.get(model) or self._direct.get(model)
        if remembered is not None:
            return remembered
        named = self.named(model)
        if not named.is_known:
            raise ModelNotFound(
                f"There is no model {model!r} here. GET v1/models lists the models you may use.",
                param="model",
            )
        if not named.provider:
            return self.routes[named.name]
        direct = make_route(named.name, (Target(self.providers[named.provider], named.model),))
        self._direct[named.name] = direct
        return direct

    def targets(self, model: str) -> tuple[Target, ...]:
        """The targets that serve `model`, best priority first. Raises ModelNotFound."""
        return self.route(model).targets

    def has_model(self, model: str) -> bool:
        try:
            return bool(self.route(model))
        except ModelNotFound:
            return False

    def fallback_routes(self, name: str, for_long_context: bool = False) -> Iterator[Route]:
        """The fallbacks of a route, then those of its fallbacks, and so on; each once, and never
        the route itself."""
        seen, names = {name}, [name]
        for each in names:
            for fallback in self._fallbacks(each, for_long_context):
                named = self.named(fallback)
                if named.is_known and named.name not in seen:
                    seen.add(named.name)
                    names.append(named.name)
                    yield self.route(named.name)

    def _fallbacks(self, name: str, for_long_context: bool) -> tuple[str, ...]:
        route = self.routes.get(name)
        if route is None:
            return ()
        return route.context_fallbacks if for_long_context else route.fallbacks

    def health_names(self) -> Iterator[str]:
        """The names under which the health of all targets and providers is kept."""
        for each in self.routes.values():
            yield from (target.key for target in each.targets)
        yield from (provider.identity for provider in self.providers.values())


def build(
    providers: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    allow_direct: bool = True,
) -> Catalog:
    """The snapshot of these definitions, written as in `NATIVE_API`. Raises SettingError."""
    plugins.load()
    problems: list[Problem] = []
    built = {
        name: build_usable_provider(name, definition, problems)
        for name, definition in providers.items()
    }
    usable = {name: provider for name, provider in built.items() if provider is not None}
    routes = {
        name: build_route(name, definition, usable, problems)
        for name, definition in models.items()
        if not is_alias(definition)
    }
    named = Catalog(usable, routes, allow_direct=allow_direct).named
    aliases = build_aliases(models, named, problems)
    has_model = Catalog(usable, routes, aliases, allow_direct=allow_direct).has_model
    problems += fallback_problems(routes, has_model)
    problems += pattern_problems(models, lambda name: _is_direct(name, usable, allow_direct))
    return Catalog(usable, routes, aliases, tuple(problems), allow_direct, _attempt_limits())


def _is_direct(name: str, providers: Mapping[str, Provider], allow_direct: bool) -> bool:
    provider, slash, _ = name.partition("/")
    return allow_direct and bool(slash) and provider in providers


def _attempt_limits() -> AttemptLimits:
    attempts = native_settings.ATTEMPTS
    return AttemptLimits(attempts["MAX"], attempts["START_WITHIN"])


# --- the current snapshot ------------------------------------------------------------------------


def _read() -> Catalog:
    catalog = merge_with_settings(*read_rows())
    _log_problems(catalog.problems)
    return catalog


_logged_problems: list[tuple[Problem, ...]] = []
_key_log_interval: Final = LogInterval()
"""A provider whose key cannot be read is logged as long as that lasts."""


def _log_problems(problems: tuple[Problem, ...]) -> None:
    """Log what cannot be used whenever it changes, and keys that cannot be read once a minute
    too."""
    has_changed = _logged_problems != [problems]
    if has_changed:
        _key_log_interval.reset()
    is_due = _key_log_interval.is_due()
    for problem in problems:
        if has_changed or (is_due and problem.kind == "key"):
            logger.error("%s: %s. %s", problem.path, problem.message, problem.hint)
    _logged_problems[:] = [problems]


_current: Final = CachedValue("providers and routes", _read, lambda: merge_with_settings({}, {}))
current: Final = _current.current
acurrent: Final = _current.acurrent
forget: Final = _current.forget
clear: Final = _current.clear


def merge_with_settings(
    providers: Mapping[str, Mapping[str, Any]], models: Mapping[str, Mapping[str, Any]]
) -> Catalog:
    """The snapshot of these rows with the settings over them. Raises SettingError."""
    return build(
        {**providers, **native_settings.PROVIDERS},
        {**models, **native_settings.MODELS},
        native_settings.ALLOW_DIRECT_MODELS,
    )


def route_problems(name: str, definition: Mapping[str, Any]) -> list[Problem]:
    """What would be wrong with this route among the present ones. Queries the database."""
    providers, models = read_rows()
    catalog = merge_with_settings(providers, {**models, name: definition})
    return [problem for problem in catalog.problems if problem.path.startswith(f"MODELS[{name!r}]")]


def read_rows() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The definitions of enabled rows: providers and models."""
    from native_api.models import ModelRoute, Provider

    providers = {row.name: row.definition() for row in Provider.objects.filter(enabled=True)}
    routes = ModelRoute.objects.filter(enabled=True).prefetch_related("targets")
    return providers, {route.name: route.definition() for route in routes}
