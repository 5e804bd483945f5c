"""What `manage.py check` finds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from native_api.upstream.auth import methods

AZURE = {"endpoint": "https://x.openai.azure.com"}
VERTEX = {"project": "p", "location": "global"}
HALF_A_KEY = {"type": "service_account", "client_email": "secret-key"}
PROVIDER = {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:1/v1", "API_KEY": "secret-key"}


TARGET = {"PROVIDER": "p", "MODEL": "x"}


def route(target: Any = None, n: Any = None, **options: Any) -> dict[str, Any]:
    """Settings of a route `m` with these options, and perhaps a route `n`."""
    models = {
        "m": {"TARGETS": [{**TARGET, **(target or {})}], **options},
        **({"n": n} if n else {}),
    }
    return {"PROVIDERS": {"p": PROVIDER}, "MODELS": models}


def found(native_api: Any, debug: bool = True, **settings: Any) -> list[tuple[str, str]]:
    with override_settings(NATIVE_API=native_api, DEBUG=debug, **settings):
        return [
            (message.id or "", f"{message.msg} {message.hint}")
            for message in run_checks(tags=["native_api"])
        ]


def test_a_sound_site_has_nothing_to_report() -> None:
    price, timeout = {"INPUT": "0.15", "OUTPUT": Decimal("0.60")}, {"FIRST_TOKEN": 5}
    target = {
        **TARGET,
        "WEIGHT": 2,
        "PRIORITY": 1,
        "TIMEOUTS": timeout,
        "RETRIES": 0,
        "MAX_CONCURRENCY": 4,
        "PRICE": price,
    }
    models = {
        "m": {
            "TARGETS": [target],
            "STRATEGY": "fastest",
            "FALLBACKS": ["n", "p/any"],
            "CONTEXT_FALLBACKS": ["n"],
            "HEDGE": "p95",
        },
        "n": {"TARGETS": [{**TARGET, "TIMEOUT": 30}], "HEDGE": 2.5},
    }
    provider = {**PROVIDER, "RETRIES": 2, "MAX_CONCURRENCY": 10, "PRICE": price}
    assert (
        found({"PROVIDERS": {"p": provider, "echo": {}}, "MODELS": models, "KEEPALIVE_SECONDS": 5})
        == []
    )
    assert found({}) == []


@pytest.mark.parametrize(
    ("native_api", "code", "words"),
    [
        (
            {"PROVIDER": {}},
            "E001",
            "NATIVE_API['PROVIDER']: there is no such setting. Did you mean 'PROVIDERS'?",
        ),
        ({"TIMEOUTS": {"READ": 3}}, "E002", "unknown member 'READ'"),
        ({"TIMEOUTS": 3}, "E002", "must be a dictionary"),
        ("nothing", "E001", "must be a dictionary"),
        ({"THROTTLE_RATES": 3}, "E002", "must be a dictionary"),
        ({"MAX_BODY_BYTES": "20 MB"}, "E003", "an integer >= 1"),
        ({"MAX_BODY_BYTES": True}, "E003", "an integer >= 1"),
        ({"KEEPALIVE_SECONDS": None}, "E003", "positive number"),
        ({"TIMEOUTS": {"CONNECT": "5"}}, "E003", "['CONNECT']: must be a positive number"),
        ({"UNKNOWN_FIELDS": True}, "E003", "must be 'pass', 'drop' or 'refuse'"),
        ({"STRICT": True}, "E001", "no such setting. UNKNOWN_FIELDS replaces it"),
        ({"ALLOW_DIRECT_MODELS": 0}, "E003", "True or False"),
        ({"JOURNAL_DIR": 3}, "E003", "a path or None"),
        ({"SECRET_KEYS": "secret-key"}, "E003", "a list of strings"),
        ({"ATTEMPTS": {"TRIES": 3}}, "E002", "unknown member 'TRIES'"),
        ({"ATTEMPTS": {"MAX": 0}}, "E003", "ATTEMPTS']['MAX']: must be an integer >= 1"),
        ({"ATTEMPTS": {"RETRIES": "many"}}, "E003", "ATTEMPTS']['RETRIES']"),
        ({"ATTEMPTS": {"START_WITHIN": -1}}, "E003", "ATTEMPTS']['START_WITHIN']"),
        ({"THROTTLE_RATES": {"caller": "many"}}, "E004", "'600/m'"),
        ({"DEFAULT_THROTTLE_CLASSES": ["nowhere.Throttle"]}, "E005", "nowhere"),
        (
            {"DEFAULT_THROTTLE_CLASSES": "rest_framework.throttling.BaseThrottle"},
            "E005",
            "must be a list",
        ),
        ({"DEFAULT_PERMISSION_CLASSES": ["os.path"]}, "E005", "'os.path' is not a class"),
        ({"PROVIDERS": []}, "E006", "dictionaries"),
        ({"PROVIDERS": {"p": {**PROVIDER, "DIALECT": "latin"}}}, "E007", "unknown dialect 'latin'"),
        ({"PROVIDERS": {"p": {**PROVIDER, "PRESET": "nobody"}}}, "E007", "unknown preset 'nobody'"),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "PRESET": "x | y"}}},
            "E007",
            "unknown preset 'x | y'. Known: ",
        ),
        ({"PROVIDERS": {"p": {"DIALECT": "openai"}}}, "E007", "no BASE_URL"),
        ({"PROVIDERS": {"openai": {}}}, "W012", "no API_KEY"),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "TIMEOUT": -1}}},
            "E007",
            "TIMEOUT must be a positive number of seconds",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "TIMEOUT": {"CONNECT": 3}}}},
            "E007",
            "TIMEOUT must be a positive number of seconds",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "TIMEOUT": 30, "TIMEOUTS": {"TOTAL": 30}}}},
            "E007",
            "TIMEOUT and TIMEOUTS['TOTAL'] mean the same",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "TIMEOUTS": {"BODY": 3}}}},
            "E007",
            "unknown member 'BODY' of TIMEOUTS",
        ),
        ({"PROVIDERS": {"p": {**PROVIDER, "PRESET": ["x"]}}}, "E007", "PRESET must be a string"),
        ({"PROVIDERS": {"p": {**PROVIDER, "BASE_URL": 3}}}, "E007", "BASE_URL must be a string"),
        ({"PROVIDERS": {"p": {**PROVIDER, "HEADERS": "x"}}}, "E007", "HEADERS must be a dict"),
        ({"PROVIDERS": {"p": {**PROVIDER, "HEADERS": {"x": []}}}}, "E007", "HEADERS['x'] must be"),
        ({"PROVIDERS": {"p": {**PROVIDER, "OPTIONS": [3]}}}, "E007", "OPTIONS must be a dict"),
        ({"PROVIDERS": {"p": {**PROVIDER, 3: ""}}}, "E007", "unknown key '3'"),
        ({"MODELS": {"m": {"TARGETS": 3}}}, "E007", "['TARGETS']: must be a list"),
        ({"MODELS": {"m": {"TARGETS": ["x"]}}}, "E007", "['TARGETS'][0]: must be a dictionary"),
        (route(target={"MODEL": 3}), "E007", "MODEL must be a string"),
        ({"PROVIDERS": {"p": {**PROVIDER, "BASEURL": ""}}}, "E007", "unknown key 'BASEURL'"),
        ({"PROVIDERS": {"p": {**PROVIDER, "BASE_URL": "host/v1"}}}, "E007", "is not a URL"),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "AUTH": "smoke signals"}}},
            "E007",
            "unknown AUTH 'smoke signals'",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "API_KEY": "secret-key\u2026"}}},
            "E007",
            "not allowed in an HTTP header",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "OPTIONS": {"client_secret": "secret-key"}}}},
            "E007",
            "Secrets go into API_KEY",
        ),
        ({"PROVIDERS": {"azure": {"API_KEY": "secret-key"}}}, "E007", "no OPTIONS['endpoint']"),
        (
            {"PROVIDERS": {"azure": {"API_KEY": "secret-key", "AUTH": "azure", "OPTIONS": AZURE}}},
            "E007",
            "OPTIONS tenant_id and client_id",
        ),
        (
            {"PROVIDERS": {"vertex": {"OPTIONS": {"location": "global"}}}},
            "E007",
            "no OPTIONS['project']",
        ),
        (
            {"PROVIDERS": {"vertex": {"OPTIONS": VERTEX, "API_KEY": "secret-key"}}},
            "E007",
            "API_KEY is not JSON",
        ),
        (
            {"PROVIDERS": {"vertex": {"OPTIONS": VERTEX, "API_KEY": {"type": "authorized_user"}}}},
            "E007",
            "not the key of a service account",
        ),
        (
            {"PROVIDERS": {"vertex": {"OPTIONS": VERTEX, "API_KEY": HALF_A_KEY}}},
            "E007",
            "no 'private_key'",
        ),
        ({"MODELS": {"m": {"TARGETS": []}}}, "E007", "no usable target"),
        ({"MODELS": {"m": {"TARGETS": [{"MODEL": "x"}]}}}, "E007", "no PROVIDER"),
        (
            {"PROVIDERS": {"p": PROVIDER}, "MODELS": {"m": {"TARGETS": [{"PROVIDER": "p"}]}}},
            "E007",
            "no MODEL",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "RETRIES": -1}}},
            "E007",
            "RETRIES must be an integer >= 0",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "MAX_CONCURRENCY": 0}}},
            "E007",
            "MAX_CONCURRENCY must be an integer >= 1",
        ),
        (
            {"PROVIDERS": {"p": {**PROVIDER, "PRICE": {"INPUT": 0.15}}}},
            "E007",
            "PRICE['INPUT'] is not a valid price",
        ),
        (route(STRATEGY="best"), "E007", "unknown STRATEGY 'best'"),
        (route(HEDGE="soon"), "E007", "HEDGE 'soon' is neither seconds nor 'p95'"),
        (route(FALLBACKS="other"), "E007", "FALLBACKS must be a list of model names"),
        (route(WHEN="now"), "E007", "unknown key 'WHEN'"),
        (route(target={"WEIGHT": "3"}), "E007", "WEIGHT must be an integer >= 0"),
        (route(target={"WIGHT": 3}), "E007", "unknown key 'WIGHT'"),
        (route(target={"TIMEOUTS": {"READ": 3}}), "E007", "unknown member 'READ' of TIMEOUTS"),
        (route(FALLBACKS=["gone"]), "W021", "there is no model 'gone'"),
        (route(n={"ALIAS": "gone"}), "W021", "there is no model 'gone'"),
        (route(n={"ALIAS": "m", "WEIGHT": 1}), "E007", "unknown key 'WEIGHT'"),
        (
            {
                "PROVIDERS": {"p": PROVIDER},
                "MODELS": {"a*": {"TARGETS": [TARGET]}, "a**": {"TARGETS": [TARGET]}},
            },
            "E007",
            "means the same as 'a*'",
        ),
        (route(CONTEXT_FALLBACKS=["gone"]), "W021", "there is no model 'gone'"),
        (
            {**route(FALLBACKS=["p/any"]), "ALLOW_DIRECT_MODELS": False},
            "W021",
            "there is no model 'p/any'",
        ),
        (route(FALLBACKS=["m"]), "E021", "fallbacks form a cycle: m > m"),
        (
            route(FALLBACKS=["n"], n={"TARGETS": [TARGET], "FALLBACKS": ["m"]}),
            "E021",
            "fallbacks form a cycle: n > m > n",
        ),
    ],
)
@pytest.mark.parametrize("debug", [True, False])
def test_a_mistake_is_found_and_explained(
    native_api: Any, code: str, words: str, debug: bool
) -> None:
    messages = found(native_api, debug)
    assert any(identity == f"native_api.{code}" and words in text for identity, text in messages), (
        messages
    )
    assert "secret-key" not in str(messages)


def test_a_cache_of_each_process_behind_shared_limits_is_a_warning_in_production() -> None:
    assert [identity for identity, _ in found({}, debug=False)] == ["native_api.W001"]


def test_an_extra_that_a_provider_needs_and_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"PROVIDERS": {"vertex": {"OPTIONS": VERTEX}}}
    assert found(settings) == []
    monkeypatch.setitem(methods.EXTRAS, "google", methods.Extra("google", "google.nowhere"))
    [(identity, text)] = found(settings)
    assert identity == "native_api.E009"
    assert "'vertex'" in text
    assert "pip install 'django-native-api[google]'" in text


def test_a_cache_that_is_not_there_or_counts_in_two_steps_is_told() -> None:
    assert [identity for identity, _ in found({}, RATELIMIT_USE_CACHE="gone")] == [
        "native_api.E008"
    ]
    caches = {
        "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "t"}
    }
    assert [identity for identity, _ in found({}, CACHES=caches)] == ["native_api.W002"]
