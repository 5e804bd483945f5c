from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from native_api.upstream import transport
from tests.scripted_provider import Upstream, running_upstream
from tests.upstream.file_server import answer
from tests.upstream.scripted_replies import Scene
from tests.upstream.token_services import issues


@pytest.fixture
def google() -> Iterator[Upstream]:
    """Google's token service: numbers its tokens, which live for an hour."""
    with running_upstream() as server:
        server.script("", issues(server))
        yield server


@pytest.fixture(scope="module")
def files() -> Iterator[Upstream]:
    with running_upstream() as server:
        server.script("", answer)
        yield server


@pytest.fixture(scope="module")
def server() -> Iterator[Scene]:
    with running_upstream() as running, asyncio.Runner() as runner:
        yield Scene(running, runner)
        runner.run(transport.aclose())
