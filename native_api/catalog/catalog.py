"""Settings and rows -> one immutable snapshot of providers, routes and targets. Settings win over
rows of the same name.

Rules:
1. A request sees one snapshot from beginning to end; a snapshot never changes.
2. How long it is used, and what happens while the database is away, is `snapshots`' business;
   without any row read, the settings alone are used.
3. An entry that cannot be built is left out and listed in `problems`, which `manage.py check` and
   the log report.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from native_api.background.cached_value import CachedValue
from native_api.catalog.presets import PRESETS, Preset, placeholders
from native_api.catalog.settings_schema import (
    Problem,
    attempt_limits_of,
    boolean,
    fallback_problems,
    only_known,
    problem_of,
    route_of,
    texts,
    timeouts_of,
    whole_number,
)
from native_api.conf import native_settings
from native_api.dialects import DIALECTS
from native_api.exceptions import ConfigurationError, ModelNotFound, UnreadableSecret
from native_api.logs import get_logger
from native_api.pricing import tables
from native_api.routing.route import DEFAULT_ATTEMPT_LIMITS, AttemptLimits, Route, make_route
from native_api.types import Provider, Quirks, RemoteFiles, Secret, Target
from native_api.types.model_names import Named, canonical, is_plain
from native_api.upstream.auth import methods
from native_api.upstream.redaction import describe_secret_in, redact_url

logger = get_logger("native_api.catalog")

PROVIDER_KEYS: Final = frozenset(
    {
        "PRESET", "DIALECT", "BASE_URL", "API_KEY", "AUTH", "HEADERS", "OPTIONS", "TIMEOUT", "RETRIES", "MAX_CONCURRENCY", "PRICE",
        "OWN_ACCOUNT", "IDENTITY_HOSTS",
    }
)  # fmt: skip

MOST_DIRECT: Final = 1000
"""Routes of `provider/model` that a snapshot remembers."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """One snapshot."""

    providers: Mapping[str, Provider] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    allow_direct: bool = True
    attempt_limits: AttemptLimits = DEFAULT_ATTEMPT_LIMITS
    _direct: dict[str, Route] = field(default_factory=dict, repr=False, compare=False)
    _spelled: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """The routes that are named like a provider's model, by the canonical name: no other spelling
    leads past them."""

    def __post_init__(self) -> None:
        parted = ((name, *name.partition("/")) for name in self.routes)
        spelled = {
            f"{provider}/{canonical(model)}": name
            for name, provider, slash, model in parted
            if slash and provider in self.providers
        }
        object.__setattr__(self, "_spelled", spelled)

    def named(self, model: str) -> Named:
        """What a request means by `model`: a route, else `provider/model` of a provider, in
        whatever spelling."""
        if model in self.routes:
            return Named(model)
        provider, _, name = model.partition("/")
        if not self.allow_direct or provider not in self.providers or not is_plain(name):
            return Named(model, is_known=False)
        spelled = self._spelled.get(f"{provider}/{canonical(name)}")
        return Named(model, provider, name) if spelled is None else Named(spelled)

    def route(self, model: str) -> Route:
        """Who serves `model`. Raises ModelNotFound."""
        known = self.routes.get(model) or self._direct.get(model)
        if known is not None:
            return known
        named = self.named(model)
        if not named.is_known:
            raise ModelNotFound(
                f"There is no model {model!r} here. GET v1/models lists the models you may use.",
                param="model",
            )
        if not named.provider:
            return self.routes[named.name]
        made = make_route(model, (Target(self.providers[named.provider], named.model),))
        if len(self._direct) < MOST_DIRECT:
            self._direct[model] = made
        return made

    def targets(self, model: str) -> tuple[Target, ...]:
        """The targets that serve `model`, best priority first. Raises ModelNotFound."""
        return self.route(model).targets

    def knows(self, model: str) -> bool:
        try:
            return bool(self.route(model))
        except ModelNotFound:
            return False

    def after(self, name: str, for_longer: bool = False) -> Iterator[Route]:
        """The fallbacks of a route, then those of its fallbacks, and so on; each once, and never
        the route itself."""
        seen, names = {name}, [name]
        for each in names:
            known = self.routes.get(each)
            for following in (
                () if known is None else known.context_fallbacks if for_longer else known.fallbacks
            ):
                if following not in seen and self.knows(following):
                    seen.add(following)
                    names.append(following)
                    yield self.route(following)

    def names(self) -> Iterator[str]:
        """What the health of all targets and providers is kept under."""
        for each in self.routes.values():
            yield from (target.key for target in each.targets)
        yield from (provider.identity for provider in self.providers.values())


def build(
    providers: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
    allow_direct: bool = True,
) -> Catalog:
    """The snapshot of these definitions, written as in `NATIVE_API`."""
    problems: list[Problem] = []
    built = {name: _provider(name, definition, problems) for name, definition in providers.items()}
    usable = {name: provider for name, provider in built.items() if provider is not None}
    routes = {
        name: route_of(name, definition, usable, problems) for name, definition in models.items()
    }
    problems += fallback_problems(routes, Catalog(usable, routes, allow_direct=allow_direct).knows)
    return Catalog(usable, routes, tuple(problems), allow_direct, attempt_limits_of())


def _provider(name: str, definition: Mapping[str, Any], problems: list[Problem]) -> Provider | None:
    place, key = f"PROVIDERS[{name!r}]", definition.get("API_KEY")
    try:
        provider = provider_of(name, definition)
    except ConfigurationError as error:
        problems.append(problem_of(place, error))
        return None
    if isinstance(key, UnreadableSecret):
        problems.append(problem_of(place, key)._replace(kind="key"))
    return provider


def provider_of(name: str, definition: Mapping[str, Any]) -> Provider:
    """The provider that `definition` describes. Raises ConfigurationError, never with a
    secret in it.

    One whose stored key cannot be read is `unusable`: it is known, but is not called.
    """
    only_known(definition, PROVIDER_KEYS)
    preset = PRESETS.get(definition.get("PRESET") or name)
    if definition.get("PRESET") and preset is None:
        raise ConfigurationError(
            f"unknown preset {definition['PRESET']!r}", f"Known: {', '.join(sorted(PRESETS))}."
        )
    dialect = definition.get("DIALECT") or (preset.dialect if preset else "")
    if dialect not in DIALECTS:
        raise ConfigurationError(
            f"unknown dialect {dialect!r}",
            f"Give DIALECT, one of {', '.join(sorted(DIALECTS))}, or a PRESET.",
        )
    options = dict(definition.get("OPTIONS") or {})
    base_url = _address(definition.get("BASE_URL") or (preset.base_url if preset else ""), options)
    _check_options(options, preset, definition.get("BASE_URL"))
    auth = definition.get("AUTH") or (preset.auth if preset else "bearer")
    told = definition.get("API_KEY")
    unusable = str(told) if isinstance(told, UnreadableSecret) else ""
    key = Secret("") if unusable else _key(told)
    if not unusable and auth in methods.KEY_METHODS and not key and preset is not None:
        raise ConfigurationError(
            "no API_KEY", "Give API_KEY, or set AUTH to 'none' for a server without keys."
        )
    own_headers = {
        header: Secret(value) for header, value in (definition.get("HEADERS") or {}).items()
    }
    headers = {**(preset.headers if preset else {}), **own_headers}
    timeouts = timeouts_of(definition.get("TIMEOUT"))
    quirks = preset.quirks if preset else Quirks()
    provider = Provider(
        name, dialect, base_url.rstrip("/"), key, auth, headers, timeouts, quirks, options, remote_files_of(),
        retries=whole_number(definition, "RETRIES", 0, native_settings.ATTEMPTS["RETRIES"]),
        max_concurrency=whole_number(definition, "MAX_CONCURRENCY", 1, None),
        price=tables.parse(definition.get("PRICE")),
        vendor=preset.name if preset else "",
        own_account=boolean(definition, "OWN_ACCOUNT"),
        identity_hosts=frozenset(texts(definition, "IDENTITY_HOSTS", "hosts", "'proxy.example.com'")),
        unusable=unusable,
        identity=f"{name}@{_mark(base_url, key, auth, headers, options)}",
    )  # fmt: skip
    if not unusable:
        methods.check(provider)
    return provider


def _key(told: Any) -> Secret:
    """The key, also where it is a whole JSON document, such as a service account's, and is written
    as one."""
    return Secret(json.dumps(told) if isinstance(told, Mapping) else str(told or "").strip())


SECRET_NAMES: Final = re.compile("secret|password|private_?key|api_?key|credential", re.IGNORECASE)


def _check_options(options: Mapping[str, Any], preset: Preset | None, base_url: str | None) -> None:
    """OPTIONS are shown in the admin, so nothing secret may stand there; and what the preset cannot
    do without must."""
    secret = next((name for name in _names_in(options) if SECRET_NAMES.search(name)), None)
    if secret:
        raise ConfigurationError(
            f"OPTIONS[{secret!r}] is a secret",
            "It would be shown in the admin. What is secret goes into API_KEY.",
        )
    in_address = placeholders(preset.base_url) if preset and base_url else []
    missing = next(
        (
            name
            for name in (preset.options if preset else ())
            if not options.get(name) and name not in in_address
        ),
        None,
    )
    if missing:
        raise ConfigurationError(
            f"no OPTIONS[{missing!r}]", "The preset cannot do without it; see docs/providers.md."
        )


def _names_in(value: Any) -> Iterator[str]:
    """The names of an object's members, and of those within."""
    for name, member in (
        value.items()
        if isinstance(value, Mapping)
        else enumerate(value)
        if isinstance(value, list | tuple)
        else ()
    ):
        yield str(name)
        yield from _names_in(member)


def _mark(*parts: Any) -> str:
    """Changes with the address or the key, and tells nothing of either."""
    return blake2b(
        json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=6
    ).hexdigest()


def _address(template: str, options: Mapping[str, Any]) -> str:
    """The base URL: `{name}` in it is filled from OPTIONS; `{model}` is left to the dialect."""
    url = template
    for name in placeholders(template):
        if not options.get(name):
            raise ConfigurationError(
                f"no OPTIONS[{name!r}]", f"Its base URL is {redact_url(template)}."
            )
        url = url.replace(f"{{{name}}}", str(options[name]).rstrip("/"))
    if not url:
        raise ConfigurationError(
            "no BASE_URL", "Give BASE_URL, such as 'http://127.0.0.1:8080/v1', or a PRESET."
        )
    if "://" not in url:
        raise ConfigurationError(
            f"{redact_url(url)!r} is no address", "A base URL begins with https:// or http://."
        )
    secret = describe_secret_in(url)
    if secret:
        raise ConfigurationError(
            f"{secret} in the base URL is a secret",
            "Addresses are shown. Give it as API_KEY; AUTH says how it is sent.",
        )
    return url


def remote_files_of() -> RemoteFiles | None:
    """The site's REMOTE_FILES. Raises SettingError."""
    members = native_settings.REMOTE_FILES
    if members is None:
        return None
    return RemoteFiles(**{name.lower(): value for name, value in members.items()})


# --- the current snapshot ----------------------------------------------------------------------------------


def _read() -> Catalog:
    providers, models = _rows()
    catalog = merged(providers, models)
    _report(catalog.problems)
    return catalog


_reported: list[tuple[Problem, ...]] = []
_keys_reported_at = [float("-inf")]

REMIND_EVERY: Final = 60.0
"""Seconds. A key that cannot be read puts a provider out of use, so it is logged as long as that
lasts."""


def _report(problems: tuple[Problem, ...]) -> None:
    """Log what cannot be used, when it is found and whenever it changes; keys that cannot be read
    once a minute too."""
    has_changed, now = _reported != [problems], time.monotonic()
    is_due = now - _keys_reported_at[0] >= REMIND_EVERY
    for problem in problems:
        if has_changed or (is_due and problem.kind == "key"):
            logger.error("%s: %s. %s", *problem[:3])
    _reported[:] = [problems]
    if has_changed or is_due:
        _keys_reported_at[0] = now


_current: Final = CachedValue("providers and routes", _read, lambda: merged({}, {}))
current: Final = _current.current
acurrent: Final = _current.acurrent
forget: Final = _current.forget


def merged(
    providers: Mapping[str, Mapping[str, Any]], models: Mapping[str, Mapping[str, Any]]
) -> Catalog:
    """The snapshot of these rows with the settings over them."""
    return build(
        {**providers, **native_settings.PROVIDERS},
        {**models, **native_settings.MODELS},
        native_settings.ALLOW_DIRECT_MODELS,
    )


def route_problems(name: str, definition: Mapping[str, Any]) -> list[Problem]:
    """What would be wrong with this route beside all the others that there are now. Queries the
    database."""
    providers, models = _rows()
    return [
        problem
        for problem in merged(providers, {**models, name: definition}).problems
        if problem.path.startswith(f"MODELS[{name!r}]")
    ]


def _rows() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Enabled rows, written as settings are."""
    from native_api.models import ModelRoute, Provider

    providers = {row.name: row.definition() for row in Provider.objects.filter(enabled=True)}
    routes = ModelRoute.objects.filter(enabled=True).prefetch_related("targets")
    return providers, {route.name: route.definition() for route in routes}
