"""A server whose settings are invalid starts, answers 503 and says why, whatever is in front of the
views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import Site, running_site

CHAT = {"model": "echo/any", "messages": [{"role": "user", "content": "Hi"}]}
MISSPELLED = {"SUBJECT": "everyone", "METRIC": "cots", "AMOUNT": 1, "WINDOW": "day"}
IN_FRONT_OF_VIEWS = {
    "MAX_BODY_BYTES": "20 MB",
    "MAX_BODIES_BYTES": None,
    "TIMEOUTS": {"BODY": "long"},
    "JOURNAL_DIR": 3,
    "DEFAULT_AUTHENTICATION_CLASSES": ["nowhere.Key"],
}
"""Settings that `native_api.asgi` and the recorder read too."""


@pytest.fixture(
    scope="module",
    params=[
        ("uvicorn", {"LIMITS": [MISSPELLED]}),
        ("gunicorn", {"LIMITS": [MISSPELLED]}),
        ("uvicorn", IN_FRONT_OF_VIEWS),
    ],
    ids=lambda parameter: f"{parameter[0]}-{next(iter(parameter[1]))}",
)
def site(
    request: pytest.FixtureRequest, template: tuple[Path, str], tmp_path_factory: Any
) -> Iterator[tuple[Site, dict[str, Any]]]:
    (kind, invalid), (folder, key) = request.param, template
    native_api = {"PROVIDERS": {"echo": {}}, **invalid}
    with running_site(kind, tmp_path_factory.mktemp("site"), folder, key, native_api) as running:
        yield running, invalid


def test_requests_are_refused_and_the_log_says_why_once(
    site: tuple[Site, dict[str, Any]],
) -> None:
    running, invalid = site
    for stream in (False, True, False):
        answer = httpx.post(
            f"{running.url}/v1/chat/completions",
            headers=running.headers,
            json={**CHAT, "stream": stream},
            trust_env=False,
            timeout=60,
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "misconfigured")
    lines = [line["message"] for line in running.log_lines() if "NATIVE_API[" in line["message"]]
    assert len(lines) == 1
    assert any(name in lines[0] for name in invalid)
    assert "Traceback" not in running.log()


def test_readiness_names_every_invalid_setting_and_liveness_is_unaffected(
    site: tuple[Site, dict[str, Any]],
) -> None:
    running, invalid = site
    live = httpx.get(f"{running.url}/health/live", trust_env=False, timeout=60)
    ready = httpx.get(f"{running.url}/health/ready", trust_env=False, timeout=60)
    named = ready.json()["checks"]["settings"]["invalid"]
    assert (live.status_code, ready.status_code) == (200, 503)
    assert len(named) == len(invalid)
    assert all(any(f"['{name}']" in path for path in named) for name in invalid)
