"""Request bodies under the gateway's own ASGI application: how much of them is read, and for
whom."""

from __future__ import annotations

import asyncio
import http.client
import json
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from native_api.asgi.bodies import Body
from native_api.inbound.body_limits import bytes_in_memory
from tests.front.conftest import FAR_AWAY, Serve, native_api
from tests.front.test_asgi import CHAT, call
from tests.scripted_provider import Upstream
from tests.servers import Site, running_site, until

WAYS = {
    "short way": {},
    "middleware of its own": {"MIDDLEWARE": ["tests.front.policies.Stamp"]},
}


def limited(upstream: Upstream, body_seconds: float = 100, **more: Any) -> dict[str, Any]:
    """Settings with small limits for bodies."""
    timeouts = {**FAR_AWAY, "BODY": body_seconds}
    return native_api(upstream, TIMEOUTS=timeouts, MAX_BODIES_BYTES=3_000_000, **more)


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS.keys())
def site(request: pytest.FixtureRequest, upstream: Upstream, serve: Serve) -> Iterator[Site]:
    with serve("uvicorn", limited(upstream), SITE_SETTINGS=json.dumps(request.param)) as running:
        yield running


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS.keys())
def hurried_site(
    request: pytest.FixtureRequest, upstream: Upstream, serve: Serve
) -> Iterator[Site]:
    """It waits a second for a body."""
    settings = limited(upstream, body_seconds=1)
    with serve("uvicorn", settings, SITE_SETTINGS=json.dumps(request.param)) as running:
        yield running


class Connection:
    """A client that writes its request by hand."""

    def __init__(self, site: Site, *headers: str, body: bytes = b"") -> None:
        host, port = site.url.removeprefix("http://").removesuffix("/native").split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=60)
        head = [
            "POST /native/v1/chat/completions HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/json",
            *headers,
            "",
            "",
        ]
        self.send("\r\n".join(head).encode() + body)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and error of the answer."""
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        body = json.loads(response.read())
        return (
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            body.get("error", {}),
        )

    def fileno(self) -> int:
        return self._socket.fileno()

    def is_closed_by_server(self) -> bool:
        """Whether the connection ends, which is waited for."""
        return self._socket.recv(1) == b""

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    opened: list[Connection] = []

    def connecting(*arguments: Any, **more: Any) -> Connection:
        opened.append(Connection(*arguments, **more))
        return opened[-1]

    yield connecting
    for connection in opened:
        connection.close()


Connect = Callable[..., Connection]

ANNOUNCED = {
    "length": "Content-Length: 1900000",
    "too large": "Content-Length: 20000000",
    "chunked": "Transfer-Encoding: chunked",
}
UNKNOWN = {
    "none": (),
    "wrong": (f"Authorization: Bearer nk_{'0' * 40}",),
    "foreign": ("X-Api-Key: sk-other",),
}


@pytest.mark.parametrize("announced", ANNOUNCED.values(), ids=ANNOUNCED.keys())
def test_without_credentials_the_headers_are_enough_for_a_refusal(
    site: Site, connect: Connect, announced: str
) -> None:
    connection = connect(site, announced)
    status, headers, error = connection.answer()
    assert (status, error["code"], headers["www-authenticate"]) == (
        401,
        "missing_api_key",
        "Bearer",
    )
    assert connection.is_closed_by_server()


def test_the_refusal_has_the_headers_of_the_views(site: Site, connect: Connect) -> None:
    _, headers, error = connect(site, "Content-Length: 1900000").answer()
    _, of_a_get, same = connect_get(site)
    of_one_request = {"date", "x-request-id", "content-length", "connection"}
    assert headers.keys() - of_one_request == of_a_get.keys() - of_one_request
    assert {name: headers[name] for name in headers.keys() - of_one_request} == {
        name: of_a_get[name] for name in of_a_get.keys() - of_one_request
    }
    assert error == same


def connect_get(site: Site) -> tuple[int, dict[str, str], dict[str, Any]]:
    answer = httpx.get(f"{site.url}/v1/models", trust_env=False, timeout=60)
    return answer.status_code, dict(answer.headers), answer.json()["error"]


@pytest.mark.parametrize(
    "credentials", [UNKNOWN["wrong"], UNKNOWN["foreign"]], ids=["wrong", "foreign"]
)
@pytest.mark.parametrize("announced", ANNOUNCED.values(), ids=ANNOUNCED.keys())
def test_of_a_large_body_only_callers_that_are_known_may_send_more_than_a_little(
    site: Site, connect: Connect, announced: str, credentials: tuple[str, ...]
) -> None:
    connection = connect(site, announced, *credentials)
    if "chunked" in announced:
        connection.send(b"11170\r\n" + b" " * 0x11170 + b"\r\n")
    status, _, error = connection.answer()
    assert (status, error["code"]) == (401, "invalid_api_key")


def test_a_client_without_credentials_that_sends_all_the_same_gets_to_read_the_refusal(
    site: Site,
) -> None:
    for _ in range(3):
        answer = httpx.post(
            f"{site.url}/v1/chat/completions",
            content=b"x" * 1_500_000,
            headers={"content-type": "application/json"},
            trust_env=False,
            timeout=60,
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "missing_api_key")


def test_a_client_that_asks_first_is_not_told_to_go_on(site: Site, connect: Connect) -> None:
    assert connect(site, "Content-Length: 1900000", "Expect: 100-continue").answer()[0] == 401
    allowed = connect(
        site,
        f"Content-Length: {len(SMALL)}",
        "Expect: 100-continue",
        f"Authorization: Bearer {site.key}",
    )
    assert allowed._socket.recv(25).startswith(b"HTTP/1.1 100 ")


SMALL = json.dumps(CHAT).encode()
LARGE = json.dumps({**CHAT, "messages": [{"role": "user", "content": "x" * 1_499_000}]}).encode()


@pytest.mark.parametrize("announced", ANNOUNCED.values(), ids=ANNOUNCED.keys())
def test_a_body_that_does_not_arrive_is_waited_for_so_long_and_no_longer(
    hurried_site: Site, connect: Connect, announced: str
) -> None:
    connection = connect(hurried_site, announced, f"Authorization: Bearer {hurried_site.key}")
    status, _, error = connection.answer()
    expected = (
        (413, "request_too_large")
        if announced == ANNOUNCED["too large"]
        else (408, "request_timeout")
    )
    assert (status, error["code"]) == expected
    assert connection.is_closed_by_server()


def test_all_bodies_together_have_a_bound_and_go_on_when_there_is_room(
    site: Site, connect: Connect
) -> None:
    known = f"Authorization: Bearer {site.key}"
    connections = [
        connect(site, f"Content-Length: {len(LARGE)}", known, body=LARGE[:-1]) for _ in range(4)
    ]
    refused = until(lambda: two_answered(connections), "two refusals: only two have room")
    for connection in refused:
        status, headers, error = connection.answer()
        assert (status, error["code"]) == (503, "overloaded")
        assert int(headers["retry-after"]) > 0
    for connection in [each for each in connections if each not in refused]:
        connection.send(LARGE[-1:])
        assert connection.answer()[0] == 200
    answer = httpx.post(
        f"{site.url}/v1/chat/completions",
        content=LARGE,
        headers={**site.headers, "content-type": "application/json"},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 200


def two_answered(connections: list[Connection]) -> list[Connection] | None:
    answered, _, _ = select.select(connections, [], [], 0)
    return answered if len(answered) == 2 else None


def test_small_requests_are_answered_while_large_ones_fill_the_bound(
    site: Site, connect: Connect
) -> None:
    known = f"Authorization: Bearer {site.key}"
    for _ in range(2):
        connect(site, "Content-Length: 1500000", known, body=b" " * 1_499_990)
    assert call(site).status_code == 200


def test_what_lets_everybody_in_reads_everybodys_body(
    template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    settings = limited(upstream, DEFAULT_PERMISSION_CLASSES=["rest_framework.permissions.AllowAny"])
    with running_site("uvicorn", tmp_path, *template, settings) as site:
        answer = httpx.post(
            f"{site.url}/v1/chat/completions",
            content=LARGE,
            headers={"content-type": "application/json"},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200


def test_a_class_that_does_not_tell_its_headers_is_asked_with_the_whole_request(
    template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    settings = limited(
        upstream, DEFAULT_AUTHENTICATION_CLASSES=["tests.front.policies.TokenInTheBody"]
    )
    with running_site("uvicorn", tmp_path, *template, settings) as site:
        body = json.dumps(
            {**CHAT, "user": "alice", "messages": [{"role": "user", "content": "x" * 100_000}]}
        )
        answer = httpx.post(
            f"{site.url}/v1/chat/completions",
            content=body,
            headers={"content-type": "application/json"},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text


def test_middleware_that_brings_the_credentials_has_its_request_read_after_all(
    template: tuple[Path, str], upstream: Upstream, tmp_path: Path
) -> None:
    folder, key = template
    middleware = json.dumps({"MIDDLEWARE": ["tests.front.policies.KeyInACookie"]})
    with running_site(
        "uvicorn", tmp_path, folder, key, limited(upstream), SITE_SETTINGS=middleware
    ) as site:
        for body in (SMALL, LARGE):
            headers = {"content-type": "application/json", "cookie": f"key={key}"}
            answer = httpx.post(
                f"{site.url}/v1/chat/completions",
                content=body,
                headers=headers,
                trust_env=False,
                timeout=60,
            )
            assert answer.status_code == 200, answer.text


def test_refusals_from_the_headers_count_as_failed_attempts(
    template: tuple[Path, str], upstream: Upstream, tmp_path: Path, connect: Connect
) -> None:
    settings = limited(upstream, THROTTLE_RATES={"failed_auth": "2/h"})
    with running_site("uvicorn", tmp_path, *template, settings) as site:
        statuses = [
            connect(site, "Content-Length: 1900000", *UNKNOWN["wrong"]).answer()[0]
            for _ in range(3)
        ]
        assert statuses == [401, 401, 429]


def test_a_body_in_many_pieces_is_held_once_and_given_back() -> None:
    pieces = [b"{", b"", b'"a"', b":1", b"}"]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages += [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async def read() -> None:
        body = Body({"headers": []}, receive)
        assert (await body.read(), bytes_in_memory()) == (b'{"a":1}', 7)
        assert (await body.receive())["type"] == "http.disconnect"
        body.close()
        assert (body.content, bytes_in_memory()) == (b"", 0)

    asyncio.run(read())
