"""One real server in front of one scripted provider for each wire that has a dialect."""

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
from tests.clients.wires.base import ScriptedModel
from tests.scripted_provider import running_upstream
from tests.servers import Site, make_template, running_site

WIRE_NAMES = [name for name in WIRES if name in DIALECTS]
PROVIDERS_PER_WIRE = 64
"""Each test takes the next provider of its wire, since failures on purpose open a target's
circuit."""
PROVIDER_NUMBERS = {name: cycle(range(PROVIDERS_PER_WIRE)) for name in WIRE_NAMES}

MODELS = [(name, model) for name in WIRE_NAMES for model in WIRES[name].models]


@dataclass
class Gateway:
    """The address of one model for a client, and the provider behind it."""

    site: Site
    wire: str
    provider: str
    provider_model: str
    upstream: ScriptedModel

    @property
    def model(self) -> str:
        return f"{self.provider}/{self.provider_model}"

    @property
    def base_url(self) -> str:
        return f"{self.site.url}/v1"

    @property
    def can_think(self) -> bool:
        return self.upstream.wire.can_think(self.provider_model)


Upstreams = dict[str, tuple[str, ScriptedModel]]
"""Wire -> the URL of its provider, and the provider."""


@contextlib.contextmanager
def running_upstreams(kind: type[ScriptedModel] = ScriptedModel) -> Iterator[Upstreams]:
    """A scripted provider of this kind for each wire."""
    with contextlib.ExitStack() as stack:
        providers = {}
        for name in WIRE_NAMES:
            server, scripted = stack.enter_context(running_upstream()), kind(WIRES[name]())
            server.default_script = scripted
            providers[name] = (server.url, scripted)
        yield providers


@pytest.fixture(scope="session")
def upstreams() -> Iterator[Upstreams]:
    with running_upstreams() as upstreams:
        yield upstreams


@pytest.fixture(scope="session")
def client_site(upstreams: Upstreams, tmp_path_factory: Any) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("clients")
    key = make_template(folder)
    settings = {
        "PROVIDERS": {
            f"{name}-{number}": scripted.wire.build_settings(url)
            for name, (url, scripted) in upstreams.items()
            for number in range(PROVIDERS_PER_WIRE)
        },
        "ATTEMPTS": {"RETRIES": 0},
        "THROTTLE_RATES": {"caller": "100000/m", "failed_auth": "100000/m"},
    }
    with running_site("uvicorn", folder, folder, key, settings) as running:
        yield running


@pytest.fixture(params=MODELS, ids=lambda pair: "-".join(pair))
def gateway(
    request: pytest.FixtureRequest,
    client_site: Site,
    upstreams: Upstreams,
) -> Iterator[Gateway]:
    wire, model = request.param
    scripted = upstreams[wire][1]
    scripted.inputs.clear()
    scripted.refusals.clear()
    yield Gateway(client_site, wire, f"{wire}-{next(PROVIDER_NUMBERS[wire])}", model, scripted)
    scripted.script = None
