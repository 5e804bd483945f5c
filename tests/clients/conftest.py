"""One real server in front of one scripted upstream for each wire whose dialect is there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from native_api.dialects import DIALECTS
from tests.clients.wires import WIRES
from tests.clients.wires.base import Scripted
from tests.scripted_provider import running_upstream
from tests.servers import Site, make_template, running_site

SPOKEN = [name for name in WIRES if name in DIALECTS]
COPIES = 64
"""Providers of each wire. Each test takes the next one: what fails on purpose puts a target out of
order for a while."""
NUMBERS = {name: cycle(range(COPIES)) for name in SPOKEN}

MODELS = [(name, model) for name in SPOKEN for model in WIRES[name].models]


@dataclass
class Gateway:
    """Where a client finds one model, and what the upstream behind it saw."""

    site: Site
    wire: str
    provider: str
    provider_model: str
    upstream: Scripted

    @property
    def model(self) -> str:
        return f"{self.provider}/{self.provider_model}"

    @property
    def base_url(self) -> str:
        return f"{self.site.url}/v1"

    @property
    def thinks(self) -> bool:
        return self.upstream.wire.thinks(self.provider_model)


@pytest.fixture(scope="session")
def upstreams() -> Iterator[dict[str, tuple[str, Scripted]]]:
    """Wire -> the upstream's address and its script."""
    with contextlib.ExitStack() as stack:
        found = {}
        for name in SPOKEN:
            server, scripted = stack.enter_context(running_upstream()), Scripted(WIRES[name]())
            server.otherwise = scripted
            found[name] = (server.url, scripted)
        yield found


@pytest.fixture(scope="session")
def client_site(
    upstreams: dict[str, tuple[str, Scripted]], tmp_path_factory: Any
) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("clients")
    key = make_template(folder)
    settings = {
        "PROVIDERS": {
            f"{name}-{number}": scripted.wire.provider(url)
            for name, (url, scripted) in upstreams.items()
            for number in range(COPIES)
        },
        "ATTEMPTS": {"RETRIES": 0},
        "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "100000/m"},
    }
    with running_site("uvicorn", folder, folder, key, settings) as running:
        yield running


@pytest.fixture(params=MODELS, ids=lambda pair: "-".join(pair))
def gateway(
    request: pytest.FixtureRequest, client_site: Site, upstreams: dict[str, tuple[str, Scripted]]
) -> Iterator[Gateway]:
    wire, model = request.param
    scripted = upstreams[wire][1]
    scripted.asked.clear()
    scripted.refused.clear()
    yield Gateway(client_site, wire, f"{wire}-{next(NUMBERS[wire])}", model, scripted)
    scripted.say = None
