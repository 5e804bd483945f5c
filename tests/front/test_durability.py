"""Nothing is lost: a server that is killed, stopped, or cut off from its database still has one
record per answer."""

from __future__ import annotations

import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from native_api.access.keys.text import generate
from tests.front.conftest import native_api
from tests.scripted_provider import Upstream, event, stalls, streams
from tests.servers import Site, environment_for, populate, running_site, stop, until
from tests.usage.conftest import ask_postgres, empty_postgres, refusing_connections

CHAT: dict[str, Any] = {"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}
CLIENTS = 12


class Load:
    """Clients that call without pause and note the request id of every answer that came whole."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.whole: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(number % 2 == 0,))
            for number in range(CLIENTS)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, stream: bool) -> None:
        with httpx.Client(headers=self.site.headers, timeout=60, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    response = client.post(
                        f"{self.site.url}/v1/chat/completions", json={**CHAT, "stream": stream}
                    )
                except httpx.HTTPError:
                    return
                if response.status_code == 200 and (
                    not stream or response.text.endswith("data: [DONE]\n\n")
                ):
                    self.whole.append(response.headers["x-request-id"])


def recorded_ids(site: Site) -> list[str]:
    return [row["request_id"] for row in site.usage()]


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_killed_under_load_no_record_is_lost_or_doubled(
    kind: str, template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    with (
        running_site(kind, tmp_path, folder, key, native_api(upstream), LOG_LEVEL="ERROR") as site,
        Load(site) as load,
    ):
        until(lambda: len(load.whole) > 150, "some load")
        for pid in children_of(site.process.pid) | {site.process.pid}:
            send_signal(pid, signal.SIGKILL)
        site.process.wait()
    assert len(load.whole) > 150
    with running_site(kind, tmp_path, folder, key, native_api(upstream), LOG_LEVEL="ERROR") as site:
        httpx.post(
            f"{site.url}/v1/chat/completions",
            headers=site.headers,
            json=CHAT,
            trust_env=False,
            timeout=60,
        )
        until(
            lambda: set(load.whole) <= set(recorded_ids(site)),
            "the records of the killed process",
            30,
        )
        recorded = recorded_ids(site)
    assert len(recorded) == len(set(recorded))


def children_of(pid: int) -> set[int]:
    return {
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
    }


def send_signal(pid: int, number: int) -> None:
    import os

    os.kill(pid, number)


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn", "gunicorn-sync"])
def test_a_stopping_server_writes_its_last_records(
    kind: str, template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    with running_site(kind, tmp_path, folder, key, native_api(upstream)) as site:
        response = httpx.post(
            f"{site.url}/v1/chat/completions",
            headers=site.headers,
            json=CHAT,
            trust_env=False,
            timeout=60,
        )
    assert recorded_ids(site) == [response.headers["x-request-id"]]
    assert not list(site.journal.iterdir())


def test_a_stopping_server_records_the_streams_that_it_cuts_off(
    template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    upstream.script("goes-on", streams(event({"content": "some words"}), stalls))
    settings = native_api(upstream)
    chat = {**CHAT, "model": "up/goes-on", "stream": True}
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        running_site("uvicorn", tmp_path, folder, key, settings) as site,
    ):
        request = client.build_request(
            "POST", f"{site.url}/v1/chat/completions", headers=site.headers, json=chat
        )
        response = client.send(request, stream=True)
        lines = response.iter_lines()  # httpx closes the connection when this is dropped
        next(lines)
        stop(site.process)
        response.close()
    until(lambda: not upstream.is_answering("goes-on"), "the upstream connection to be closed")
    [record] = site.usage()
    assert (record["status"], record["estimated"], record["completion_tokens"] > 0) == (
        "client_closed",
        1,
        True,
    )


def test_a_database_server_that_is_away_delays_records_and_nothing_else(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Not one table, but the whole server, and with connections that were open."""
    with empty_postgres() as url:
        key = populate(environment_for(tmp_path, {}, TEST_DATABASE_URL=url))
        with running_site(
            "uvicorn", tmp_path, tmp_path, key, native_api(upstream), TEST_DATABASE_URL=url
        ) as site:
            answered = [ask(site)]
            with refusing_connections(url):
                answered += [ask(site) for _ in range(10)]
                ready = httpx.get(f"{site.url}/health/ready", trust_env=False, timeout=60)
                assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
                assert ready.json()["checks"]["database"]["status"] == "degraded"
                unknown = ask(site, generate()[1])
                assert (unknown.status_code, unknown.json()["error"]["code"]) == (
                    503,
                    "database_unavailable",
                )
                assert int(unknown.headers["retry-after"]) > 0
            assert [answer.status_code for answer in answered] == [200] * 11
            expected = sorted(answer.headers["x-request-id"] for answer in answered)
            until(lambda: postgres_ids(url) == expected, "every record once")
            assert postgres_ids(url) == expected


def ask(site: Site, key: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {key or site.key}"}
    return httpx.post(
        f"{site.url}/v1/chat/completions", headers=headers, json=CHAT, trust_env=False, timeout=60
    )


def postgres_ids(url: str) -> list[str]:
    return sorted(
        identity
        for (identity,) in ask_postgres(url, "SELECT request_id FROM native_api_usagerecord")
    )


def test_a_database_that_is_away_delays_records_and_nothing_else(
    template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    with running_site("uvicorn", tmp_path, folder, key, native_api(upstream)) as site:
        call = {
            "url": f"{site.url}/v1/chat/completions",
            "headers": site.headers,
            "json": CHAT,
            "trust_env": False,
            "timeout": 60,
        }
        httpx.post(**call)
        site.wait_for_usage(1)
        rename(site.database, "native_api_usagerecord", "hidden")
        rename(site.database, "native_api_apikey", "hidden_keys")
        old = "The API keys cannot be read"

        def answered_while_the_key_is_old() -> bool:
            assert httpx.post(**call).status_code == 200
            return old in site.log()

        until(answered_while_the_key_is_old, "the cached key to be too old")
        assert httpx.get(f"{site.url}/health/ready", trust_env=False, timeout=60).status_code == 200
        rename(site.database, "hidden_keys", "native_api_apikey")
        rename(site.database, "hidden", "native_api_usagerecord")
        site.wait_for_usage(3)


def rename(database: Path, old: str, new: str) -> None:
    connection = sqlite3.connect(database, timeout=60)
    with connection:
        connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
    connection.close()
