"""Whatever becomes of a call, it leaves nothing open behind: no file, no thread, no connection to
the provider."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.front.conftest import Serve
from tests.front.test_durability import children_of
from tests.scripted_provider import Upstream, cuts, event, says, stalls, streams
from tests.servers import Site, until

ROUNDS = 25
TOLERANCE = 3
"""Files that come and go by themselves: the database, the journal, idle connections."""


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn"])
def server(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Site]:
    with serve(request.param) as running:
        yield running


def files_and_threads(server: Site) -> int:
    return sum(
        len(os.listdir(f"/proc/{pid}/{kind}"))
        for pid in {server.process.pid, *children_of(server.process.pid)}
        for kind in ("fd", "task")
    )


def whole(client: httpx.Client, chat: dict[str, Any]) -> None:
    client.post("/v1/chat/completions", json=chat)


def left(client: httpx.Client, chat: dict[str, Any]) -> None:
    with client.stream("POST", "/v1/chat/completions", json=chat) as response:
        next(response.iter_lines())


CALLS: dict[str, tuple[Callable[..., None], Any, bool]] = {
    "complete": (whole, None, False),
    "streamed": (whole, None, True),
    "refused": (whole, says({"error": {"message": "no"}}, 400), True),
    "broken": (whole, streams(event({"content": "half"}), cuts), True),
    "endless": (left, streams(event({"content": "words"}), stalls), True),
    "garbage": (whole, says(b"<html>", 200), False),
}


def test_calls_of_every_end_leave_nothing_open(server: Site, upstream: Upstream) -> None:
    for name, (_call, script, _stream) in CALLS.items():
        if script is not None:
            upstream.script(name, script)

    def round_of_calls() -> None:
        with httpx.Client(
            base_url=server.url, headers=server.headers, trust_env=False, timeout=60
        ) as client:
            for name, (call, _script, stream) in CALLS.items():
                call(
                    client,
                    {
                        "model": f"up/{name}",
                        "messages": [{"role": "user", "content": "Hi"}],
                        "stream": stream,
                    },
                )

    for _ in range(5):
        round_of_calls()
    # Two circuits are open now. The gateway's own probes keep a loop for the next ones.
    server.wait_for_usage(2, endpoint="check")
    before, connections = files_and_threads(server), upstream.open_connections
    for _ in range(ROUNDS):
        round_of_calls()
    with contextlib.suppress(AssertionError):
        until(
            lambda: (
                files_and_threads(server) <= before and upstream.open_connections <= connections
            ),
            "everything to be closed",
            5,
        )
    assert files_and_threads(server) <= before + TOLERANCE
    assert upstream.open_connections <= connections + TOLERANCE
    server.wait_for_usage((ROUNDS + 3) * len(CALLS))
    assert "never retrieved" not in server.log()
    assert "Warning" not in server.log()
