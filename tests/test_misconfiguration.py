"""Invalid settings: every request is answered 503 `misconfigured`, the log names the setting once a
minute, and readiness and `manage.py check` name it too."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.test import Client, override_settings

from native_api import background, gateway, logs
from native_api.access import keys
from native_api.conf import DEFAULTS, setting_errors, usable_settings
from native_api.exceptions import SettingError
from native_api.types import Caller
from native_api.usage import recorder
from native_api.views import health, misconfigured

ECHO = {"PROVIDERS": {"echo": {}}, **settings.NATIVE_API}
CHAT: Any = {"model": "echo/any", "messages": [{"role": "user", "content": "Hi"}]}
LIMIT = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 1000, "WINDOW": "day"}
MISSPELLED = {**LIMIT, "METRIC": "cots"}
SECRET = "a-value-that-nobody-may-see"

INVALID: list[tuple[str, Any, str]] = [
    ("PROVIDERS", [], "['PROVIDERS']"),
    ("PROVIDERS", {"a": SECRET}, "['PROVIDERS']"),
    ("MODELS", "all", "['MODELS']"),
    ("MODEL_RULES", ["gpt-5"], "['MODEL_RULES']"),
    ("MODEL_RULES", {"gpt-5": {"REFUSE": []}}, "['MODEL_RULES']['gpt-5']"),
    ("ALLOW_DIRECT_MODELS", "yes", "['ALLOW_DIRECT_MODELS']"),
    ("DEFAULT_MODEL_ACCESS", "gpt-4o", "['DEFAULT_MODEL_ACCESS']"),
    ("LIMITS", [LIMIT, MISSPELLED], "['LIMITS'][1]"),
    ("LIMITS", MISSPELLED, "['LIMITS']"),
    ("LIMIT_THRESHOLD", 0, "['LIMIT_THRESHOLD']"),
    ("FALLBACK_PRICE", {"INPUT": 0.5}, "['FALLBACK_PRICE']"),
    ("THROTTLE_RATES", {"caller": "many"}, "['THROTTLE_RATES']['caller']"),
    ("THROTTLE_RATES", {"callers": "60/m"}, "['THROTTLE_RATES']"),
    ("TIMEOUTS", {"CONNECT": "5"}, "['TIMEOUTS']['CONNECT']"),
    ("TIMEOUTS", {"BODY": None}, "['TIMEOUTS']['BODY']"),
    ("TIMEOUTS", {"READ": 5}, "['TIMEOUTS']"),
    ("TIMEOUTS", 30, "['TIMEOUTS']"),
    ("ATTEMPTS", {"RETRIES": -1}, "['ATTEMPTS']['RETRIES']"),
    ("MAX_BODY_BYTES", "20 MB", "['MAX_BODY_BYTES']"),
    ("MAX_BODY_BYTES", 2e6, "['MAX_BODY_BYTES']"),
    ("MAX_BODIES_BYTES", None, "['MAX_BODIES_BYTES']"),
    ("MAX_JSON_VALUES", "many", "['MAX_JSON_VALUES']"),
    ("KEEPALIVE_SECONDS", 0, "['KEEPALIVE_SECONDS']"),
    ("GC_FREEZE", "no", "['GC_FREEZE']"),
    ("REMOTE_FILES", {"MAX_FILE": 3}, "['REMOTE_FILES']"),
    ("REMOTE_FILES", {"PRIVATE_NETWORKS": ["home"]}, "['REMOTE_FILES']['PRIVATE_NETWORKS']"),
    ("JOURNAL_DIR", 3, "['JOURNAL_DIR']"),
    ("MAINTENANCE", {"USAGE_RECORD_DAYS": "90"}, "['MAINTENANCE']['USAGE_RECORD_DAYS']"),
    ("MAINTENANCE", {"BUDGET_DAYS": 0}, "['MAINTENANCE']['BUDGET_DAYS']"),
    ("MAINTENANCE", False, "['MAINTENANCE']"),
    ("RESPONSES", True, "['RESPONSES']"),
    ("RESPONSES", {"KEEP": True}, "['RESPONSES']"),
    ("RESPONSES", {"STORE": "yes"}, "['RESPONSES']['STORE']"),
    ("RESPONSES", {"STORE": True, "DAYS": None}, "['RESPONSES']['DAYS']"),
    ("RESPONSES", {"MAX_BYTES": 0}, "['RESPONSES']['MAX_BYTES']"),
    ("UNKNOWN_FIELDS", "keep", "['UNKNOWN_FIELDS']"),
    ("CONVERSATION_ID_FROM", "prompt_cache_key", "['CONVERSATION_ID_FROM']"),
    ("CONVERSATION_ID_FROM", ["prompt_key"], "['CONVERSATION_ID_FROM']"),
    ("SECRET_KEYS", SECRET, "['SECRET_KEYS']"),
    ("DEFAULT_AUTHENTICATION_CLASSES", ["nowhere.Key"], "['DEFAULT_AUTHENTICATION_CLASSES']"),
    ("DEFAULT_PERMISSION_CLASSES", ["os.path"], "['DEFAULT_PERMISSION_CLASSES']"),
    ("DEFAULT_THROTTLE_CLASSES", "a.Throttle", "['DEFAULT_THROTTLE_CLASSES']"),
    ("CALLER", "nowhere.caller", "['CALLER']"),
    ("CALLER", "native_api.types.Caller", "['CALLER']"),
    ("CALLER", "os.getpid", "['CALLER']"),
    ("CALLER", 3, "['CALLER']"),
    ("DIALECTS", ["mysite.llm.Acme"], "['DIALECTS']"),
    ("DIALECTS", {"acme": "nowhere.Acme"}, "['DIALECTS']['acme']"),
    ("DIALECTS", {"openai": "native_api.dialects.Ollama"}, "['DIALECTS']['openai']"),
    ("PRESETS", {"acme": "native_api.types.Provider"}, "['PRESETS']['acme']"),
    ("PRESETS", {"acme": {"API_KEY": SECRET}}, "['PRESETS']['acme']"),
    ("AUTH_METHODS", {"acme": "os.getpid"}, "['AUTH_METHODS']['acme']"),
    ("AUTH_METHODS", "mysite.llm.sign", "['AUTH_METHODS']"),
    ("HOOKS", "tests.gateway.site_hooks.Shouting", "['HOOKS']"),
    ("HOOKS", ["nowhere.Hook"], "['HOOKS']"),
    ("HOOKS", ["tests.gateway.site_hooks.NeedsArguments"], "['HOOKS']"),
    ("HOOKS", ["tests.gateway.site_hooks.Synchronous"], "['HOOKS']"),
    ("HOOKS", ["tests.gateway.site_hooks.Misspelled"], "['HOOKS']"),
    ("HOOKS", ["tests.gateway.site_hooks.Failing"], "['HOOKS']"),
    ("HOOKS", ["tests.gateway.site_hooks.TakesTooLittle"], "['HOOKS']"),
    ("HOOKS", ["tests.gateway.site_hooks.HasTwoFaults"], "['HOOKS']"),
]

UNKNOWN: list[tuple[str, Any, str]] = [
    ("HOOKZ", [SECRET], "['HOOKZ']"),
    ("hooks", [], "['hooks']"),
    ("LIMITZ", [LIMIT], "['LIMITZ']"),
    ("BUDGETS_OF_MINE", None, "['BUDGETS_OF_MINE']"),
]
"""Keys that are no settings."""


def native_api(name: str, value: Any) -> dict[str, Any]:
    return {**ECHO, name: value}


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(health, "RESULT_SECONDS", 0.0)
    monkeypatch.setattr(recorder, "record", lambda entry: None)
    monkeypatch.setattr(recorder, "note_key_use", lambda key_id: None)
    misconfigured.log_interval.reset()
    yield
    background.run(background.close_streams())


@pytest.fixture
def key(transactional_db: None) -> str:
    return keys.create_key(get_user_model().objects.create_user("alice"), "laptop")[1]


def ask(client: Client, key: str, path: str = "chat/completions", body: Any = CHAT) -> Any:
    headers = {"authorization": f"Bearer {key}"}
    if body is None:
        return client.get(f"/native/v1/{path}", headers=headers)
    return client.post(f"/native/v1/{path}", json.dumps(body), "application/json", headers=headers)


def error_lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Lines about settings, and any with a stack trace. Django logs the path of every answer of 500
    and more, and the recorder may still work for an earlier test."""
    return [
        record
        for record in caplog.records
        if record.name == "native_api.conf"
        or (record.exc_info and not record.name.startswith("native_api.usage"))
    ]


def test_every_setting_is_tried() -> None:
    assert {name for name, _, _ in INVALID} == DEFAULTS.keys()


@pytest.mark.parametrize(("name", "value", "path"), INVALID + UNKNOWN)
def test_an_invalid_setting_refuses_requests_until_it_is_corrected(
    name: str, value: Any, path: str, key: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with override_settings(NATIVE_API=native_api(name, value)):
        answers = [
            ask(client, key),
            ask(client, key, body={**CHAT, "stream": True}),
            ask(client, key, path="models", body=None),
            ask(client, "nk_wrong"),
        ]
    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (
            503,
            "service_unavailable",
            "misconfigured",
        )
        assert answer.headers["retry-after"] == "60"
        assert answer.headers["cache-control"] == "no-store"
        assert name not in answer.content.decode()
    [line] = error_lines(caplog)
    assert f"NATIVE_API{path}" in line.getMessage()
    assert line.exc_info is None
    with override_settings(NATIVE_API=ECHO):
        assert ask(client, key).status_code == 200
        assert ask(client, key, path="models", body=None).status_code == 200


@pytest.mark.parametrize(("name", "value", "path"), INVALID + UNKNOWN)
def test_readiness_and_check_name_it_without_its_value(
    name: str, value: Any, path: str, transactional_db: None, client: Client
) -> None:
    with override_settings(NATIVE_API=native_api(name, value)):
        ready = client.get("/native/health/ready")
        live = client.get("/native/health/live")
        messages = [message.msg for message in run_checks(tags=["native_api"])]
    assert (ready.status_code, live.status_code) == (503, 200)
    assert ready.json()["checks"]["settings"] == {
        "status": "failing",
        "invalid": [f"NATIVE_API{path}"],
    }
    assert any(message.startswith(f"NATIVE_API{path}: ") for message in messages), messages
    assert SECRET not in ready.content.decode() + str(messages)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("HOOKZ", "Did you mean 'HOOKS'?"),
        ("hooks", "Did you mean 'HOOKS'?"),
        ("LIMITZ", "Did you mean 'LIMITS'?"),
        ("BUDGETS_OF_MINE", "Known: PROVIDERS, MODELS, "),
    ],
)
def test_a_key_that_is_no_setting_is_told_once_with_the_nearest_name(
    name: str, hint: str, transactional_db: None
) -> None:
    with override_settings(NATIVE_API=native_api(name, None)):
        [message] = [found for found in run_checks(tags=["native_api"]) if found.is_serious()]
        [error] = setting_errors()
    assert (message.id, message.hint) == ("native_api.E001", error.hint)
    assert error.hint.startswith(hint)


def test_what_surrounds_the_views_reads_the_other_settings() -> None:
    with override_settings(NATIVE_API={"HOOKZ": [], "MAX_BODY_BYTES": 5}):
        assert usable_settings.MAX_BODY_BYTES == 5


def test_calls_of_python_code_are_refused_too(transactional_db: None) -> None:
    settings_with_typo = override_settings(NATIVE_API=native_api("HOOKZ", []))
    with settings_with_typo, pytest.raises(SettingError, match="HOOKZ"):
        gateway.complete_sync(CHAT, Caller())


@override_settings(NATIVE_API="nothing")
def test_native_api_itself_may_be_invalid(
    key: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert [ask(client, key).status_code for _ in range(3)] == [503] * 3
    assert client.get("/native/health/ready").json()["checks"]["settings"]["invalid"] == [
        "NATIVE_API"
    ]
    assert [line.getMessage() for line in error_lines(caplog)] == [
        "No request is answered until this is corrected. NATIVE_API: must be a dictionary. "
        "See docs/settings.md."
    ]


def test_every_invalid_setting_is_named(client: Client, transactional_db: None) -> None:
    with override_settings(
        NATIVE_API={"LIMITS": [MISSPELLED, LIMIT, {}], "TIMEOUTS": {"TOTAL": 0}}
    ):
        checks = client.get("/native/health/ready").json()["checks"]
    assert checks["settings"]["invalid"] == [
        "NATIVE_API['LIMITS'][0]",
        "NATIVE_API['LIMITS'][2]",
        "NATIVE_API['TIMEOUTS']['TOTAL']",
    ]


@override_settings(NATIVE_API=native_api("LIMITS", [MISSPELLED]))
def test_the_log_names_it_again_after_a_minute(
    key: str,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask(client, key)
    monkeypatch.setattr(logs, "LOG_INTERVAL_SECONDS", 0.0)
    ask(client, key)
    assert len(error_lines(caplog)) == 2
