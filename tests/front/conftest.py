"""The site under test: one real server process of each kind for the whole run, in front of one
scripted provider."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import httpx
import openai
import pytest

from tests.scripted_provider import Upstream, running_upstream
from tests.servers import OTHER_COMMANDS, Site, make_template, running_site

KINDS = ["uvicorn", "gunicorn", "runserver"]
OTHER_KINDS = [
    pytest.param(
        kind,
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(find_spec(kind) is None, reason=f"{kind} is not installed."),
        ],
    )
    for kind in OTHER_COMMANDS
]
"""What `.ci/full` tests besides."""

FAR_AWAY = {"CONNECT": 100, "FIRST_TOKEN": 100, "BETWEEN_TOKENS": 100, "TOTAL": 100}
"""Timeouts that only a hang reaches."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a migrated database, and the key in it."""
    folder = tmp_path_factory.mktemp("template")
    return folder, make_template(folder)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as server:
        yield server


def native_api(upstream: Upstream, **more: Any) -> dict[str, Any]:
    """The settings of the sites under test: the scripted provider, reachable as `up/MODEL` or by
    route. It is asked once, and waited for as long as a test takes, except through the routes `mute`
    and `stalled`."""
    return {
        "PROVIDERS": {
            "up": {"DIALECT": "openai", "BASE_URL": upstream.url, "API_KEY": "sk-upstream-secret"},
            "responses": {
                "DIALECT": "openai_responses",
                "BASE_URL": upstream.url,
                "API_KEY": "sk-upstream-secret",
                "OPTIONS": {"reasoning_summary": "auto"},
            },
            "echo": {},
            "claude": {
                "DIALECT": "anthropic",
                "BASE_URL": upstream.url,
                "API_KEY": "sk-upstream-secret",
            },
            "dead": {
                "DIALECT": "openai",
                "BASE_URL": "http://127.0.0.1:9/v1",
                "API_KEY": "sk-dead-secret",
            },
        },
        "MODELS": {
            "hello": {"TARGETS": [{"PROVIDER": "up", "MODEL": "hello"}]},
            "second-chance": {
                "TARGETS": [
                    {"PROVIDER": "up", "MODEL": "fails", "PRIORITY": 0},
                    {"PROVIDER": "up", "MODEL": "second", "PRIORITY": 1},
                ]
            },
            "mute": {
                "TARGETS": [{"PROVIDER": "up", "MODEL": "mute", "TIMEOUTS": {"FIRST_TOKEN": 1}}]
            },
            "stalled": {
                "TARGETS": [
                    {"PROVIDER": "up", "MODEL": "stalled", "TIMEOUTS": {"BETWEEN_TOKENS": 1}}
                ]
            },
        },
        "ATTEMPTS": {"RETRIES": 0},
        "TIMEOUTS": FAR_AWAY,
        "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "100000/m"},
        "KEEPALIVE_SECONDS": 0.3,
        "MAX_BODY_BYTES": 2_000_000,
        **more,
    }


class Serve(Protocol):
    def __call__(
        self, kind: str, settings: dict[str, Any] | None = None, **more: str
    ) -> AbstractContextManager[Site]: ...


@pytest.fixture(scope="session")
def serve(
    template: tuple[Path, str], upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Serve:
    """Runs a server of this kind, with a folder and a database of its own. Without settings it has
    those of `native_api`; `more` are environment variables."""
    folder, key = template

    def serving(
        kind: str, settings: dict[str, Any] | None = None, **more: str
    ) -> AbstractContextManager[Site]:
        own_folder = tmp_path_factory.mktemp(kind)
        return running_site(kind, own_folder, folder, key, settings or native_api(upstream), **more)

    return serving


@pytest.fixture(scope="session", params=KINDS)
def site(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Site]:
    """Every test that takes this runs on every kind of server."""
    with serve(request.param) as running:
        yield running


@pytest.fixture(scope="session")
def asgi_site(serve: Serve) -> Iterator[Site]:
    """For behaviours that do not depend on the kind of server."""
    with serve("uvicorn", DEBUG="1", LOG_LEVEL="DEBUG") as running:
        yield running


@pytest.fixture
def http(asgi_site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=asgi_site.url, headers=asgi_site.headers, timeout=60, trust_env=False
    ) as client:
        yield client


@pytest.fixture
def sdk(site: Site) -> Iterator[openai.OpenAI]:
    with sdk_for(site) as client:
        yield client


def sdk_for(site: Site, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{site.url}/v1", api_key=site.key, **{"max_retries": 0, "timeout": 60, **options}
    )
