"""Every way a request can be wrong: its row of the table, in the one envelope, and nothing
leaks."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.front.conftest import Serve
from tests.scripted_provider import Upstream, says
from tests.servers import Site, until

CHAT: dict[str, Any] = {"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}
PATH = "/v1/chat/completions"
IMAGE_OF_3 = {"type": "image_url", "image_url": {"url": 3}}
IMAGE_ELSEWHERE = {
    "type": "image_url",
    "image_url": {"url": "http://169.254.169.254/latest/meta-data"},
}
TELLS_ALL = "sk-upstream-secret is not known at http://127.0.0.1:8000/v1"
BETAS: list[tuple[Any, str]] = [
    (["a\r\nx-injected: 1"], "betas[0]"),
    (["fine-2026-01-01", "a\nb"], "betas[1]"),
    *[
        ([odd], "betas[0]")
        for odd in ("\x00", "b\u00e9ta", "\u65e5\u672c", "a,b", "", 3, None, "x" * 101)
    ],
    *[(odd, "betas") for odd in ("fine-2026-01-01", {"a": 1}, ["fine"] * 51)],
]


def error_of(response: httpx.Response, status: int, kind: str, code: str) -> dict[str, Any]:
    """The error object, after checking everything that all errors have in common."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    body = response.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert error.keys() - {"provider"} == {"message", "type", "code", "param"}
    assert (error["type"], error["code"]) == (kind, code), error
    for secret in ("sk-upstream-secret", "sk-dead-secret", "127.0.0.1", "Traceback", "native_api/"):
        assert secret not in response.text
    return error


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"messages": "Hi"}, "invalid_request", "messages"),
        ({"messages": []}, "invalid_request", "messages"),
        ({"messages": None}, "invalid_request", "messages"),
        ({"model": None}, "invalid_request", "model"),
        ({"model": 7}, "invalid_request", "model"),
        ({"temperature": "hot"}, "invalid_request", "temperature"),
        ({"stream": "yes"}, "invalid_request", "stream"),
        ({"temprature": 1}, "unknown_field", "temprature"),
        ({"messages": [{"role": "user", "content": [IMAGE_OF_3]}]}, "invalid_request", "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "user", "content": [IMAGE_ELSEWHERE]}]}, "unsupported_field", "messages[0].content[0].image_url.url"),
        ({"provider_options": {"up": {"model": "another"}}}, "unsupported_field", "provider_options.up.model"),
        *[
            ({"model": "claude/any", "provider_options": {owner: {"betas": betas}}}, "invalid_request", f"provider_options.{owner}.{place}")
            for owner in ("claude", "anthropic")
            for betas, place in BETAS
        ],
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named(
    http: httpx.Client, change: Any, code: str, param: str
) -> None:
    assert (
        error_of(http.post(PATH, json={**CHAT, **change}), 400, "invalid_request_error", code)[
            "param"
        ]
        == param
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"{", b"[]", b'"text"', b"null", b'{"model": "hello"', b'{"model": "\xff"}', b'{"a": NaN}', b'{"a": "\\ud800"}',
     b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[" * 500_000, b'{"model": "a", "model": "b"}', b"\x00", b"\xef\xbb\xbf{}"],
    ids=range(15),
)  # fmt: skip
def test_a_body_that_is_no_json_object(http: httpx.Client, body: bytes) -> None:
    response = http.post(PATH, content=body, headers={"content-type": "application/json"})
    error_of(response, 400, "invalid_request_error", "invalid_request")


def test_a_body_that_can_be_read_but_not_written_again(http: httpx.Client) -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    tools = b'[{"type": "function", "function": {"name": "f", "parameters": ' + deep + b"}}]"
    body = json.dumps(CHAT).encode()[:-1] + b', "tools": ' + tools + b"}"
    response = http.post(PATH, content=body, headers={"content-type": "application/json"})
    error_of(response, 400, "invalid_request_error", "invalid_request")


def test_a_wrong_content_type(http: httpx.Client) -> None:
    response = http.post(PATH, content=json.dumps(CHAT), headers={"content-type": "text/plain"})
    error_of(response, 415, "invalid_request_error", "unsupported_media_type")


def test_a_wrong_method(http: httpx.Client) -> None:
    response = http.get(PATH)
    error_of(response, 405, "invalid_request_error", "method_not_allowed")
    assert "POST" in response.headers["allow"]


def test_a_reply_that_nobody_can_make(http: httpx.Client) -> None:
    error_of(
        http.post(PATH, json=CHAT, headers={"accept": "image/png"}),
        406,
        "invalid_request_error",
        "not_acceptable",
    )


def test_clients_that_accept_only_event_streams_are_welcome(http: httpx.Client) -> None:
    response = http.post(
        PATH, json={**CHAT, "stream": True}, headers={"accept": "text/event-stream"}
    )
    assert response.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    "model",
    [
        "up/a\r\nset-cookie: x=1",
        "nobody/a\r\nset-cookie: x=1",
        "up/日本",
        "up/\x1b",
        "nobody\u2028",
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["complete", "streamed"])
def test_a_models_name_never_breaks_a_header(http: httpx.Client, model: str, stream: bool) -> None:
    response = http.post(PATH, json={**CHAT, "model": model, "stream": stream})
    assert response.status_code in (200, 404)
    assert response.headers["x-native-model"].isascii()
    assert response.headers["x-native-model"].isprintable()
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/chat/completions/", "/v2/anything", "/v1/<script>"]
)
def test_an_unknown_path_below_the_prefix(http: httpx.Client, path: str) -> None:
    error_of(http.post(path, json={}), 404, "not_found_error", "not_found")


def test_a_model_that_is_not_there(http: httpx.Client, asgi_site: Site) -> None:
    response = http.post(PATH, json={**CHAT, "model": "nobody/knows"})
    assert error_of(response, 404, "not_found_error", "model_not_found")["param"] == "model"
    [record] = asgi_site.wait_for_usage(request_id=response.headers["x-request-id"])
    assert (record["status"], record["error_code"], record["attempts"]) == (
        "refused",
        "model_not_found",
        0,
    )


@pytest.mark.parametrize("body", [b"{", json.dumps({**CHAT, "temprature": 1}).encode()])
def test_what_never_reached_routing_leaves_no_record(
    http: httpx.Client, asgi_site: Site, body: bytes
) -> None:
    refused = http.post(PATH, content=body, headers={"content-type": "application/json"})
    answered = http.post(PATH, json=CHAT)
    asgi_site.wait_for_usage(request_id=answered.headers["x-request-id"])
    assert asgi_site.usage(request_id=refused.headers["x-request-id"]) == []


def test_arguments_of_a_tool_that_are_an_abyss(http: httpx.Client) -> None:
    """As text they pass the check of the body; a dialect that sends them as JSON has to read
    them."""
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a":' * 300 + "1" + "}" * 300},
    }
    said = [
        *CHAT["messages"],
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ]
    response = http.post(PATH, json={"model": "claude/any", "messages": said})
    error_of(response, 400, "invalid_request_error", "invalid_request")


def test_no_key(asgi_site: Site) -> None:
    response = httpx.post(f"{asgi_site.url}{PATH}", json=CHAT, trust_env=False, timeout=60)
    error_of(response, 401, "authentication_error", "missing_api_key")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1] + ("a" if key[-1] != "a" else "b"),
        lambda key: key[:30],
        lambda key: "sk-other",
        lambda key: key + "x",
    ],
)
def test_a_wrong_key(asgi_site: Site, change: Any) -> None:
    headers = {"authorization": f"Bearer {change(asgi_site.key)}"}
    response = httpx.post(
        f"{asgi_site.url}{PATH}", json=CHAT, headers=headers, trust_env=False, timeout=60
    )
    error_of(response, 401, "authentication_error", "invalid_api_key")
    assert asgi_site.key[:40] not in response.text


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-goog-api-key"])
def test_a_key_in_a_header_of_its_own(asgi_site: Site, header: str) -> None:
    asked = {
        "url": f"{asgi_site.url}/v1/models",
        "headers": {header: asgi_site.key},
        "trust_env": False,
        "timeout": 60,
    }
    assert httpx.get(**asked).status_code == 200


def test_a_key_without_bearer_and_one_in_the_query_are_not_read(asgi_site: Site) -> None:
    response = httpx.get(
        f"{asgi_site.url}/v1/models",
        headers={"authorization": asgi_site.key},
        trust_env=False,
        timeout=60,
    )
    error = error_of(response, 401, "authentication_error", "invalid_api_key")
    assert "'Bearer'" in error["message"]
    response = httpx.get(
        f"{asgi_site.url}/v1/models",
        params={"api_key": asgi_site.key, "key": asgi_site.key},
        trust_env=False,
        timeout=60,
    )
    error_of(response, 401, "authentication_error", "missing_api_key")


def test_a_declared_body_over_the_limit_is_refused_without_being_read(asgi_site: Site) -> None:
    parts = urlsplit(asgi_site.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        known = f"authorization: Bearer {asgi_site.key}\r\ncontent-type: application/json"
        head = (
            f"POST /native{PATH} HTTP/1.1\r\nhost: x\r\n{known}\r\ncontent-length: 99000000\r\n\r\n"
        )
        connection.sendall(head.encode() + b'{"model":')
        received = connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 413")


def test_an_undeclared_body_over_the_limit_is_refused(http: httpx.Client) -> None:
    pieces = (b" " * 100_000 for _ in range(100))
    response = http.post(PATH, content=pieces, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


def test_a_request_id_is_kept_if_sane(http: httpx.Client) -> None:
    assert (
        http.post(PATH, json=CHAT, headers={"x-request-id": "my-id-1"}).headers["x-request-id"]
        == "my-id-1"
    )
    assert (
        http.post(PATH, json=CHAT, headers={"x-request-id": "a b\tc"}).headers["x-request-id"]
        != "a b\tc"
    )


@pytest.fixture(scope="module", params=["uvicorn", "uvicorn-django", "gunicorn"])
def plain_site(request: pytest.FixtureRequest, serve: Serve) -> Iterator[Site]:
    """A site whose formatter is not ours."""
    logging = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }
    more = {"SITE_SETTINGS": json.dumps({"LOGGING": logging})}
    with serve(request.param, **more) as running:
        yield running


@pytest.mark.parametrize(
    "odd",
    [
        "%0AINFO forged",
        "%0D%0AINFO forged",
        "%E2%80%A8INFO forged",
        "%C2%85INFO forged",
        "%1B[2KINFO forged",
    ],
)
@pytest.mark.parametrize("path", ["/v1/", "/v1/models/", "/v1/models/hello", "/health/"])
def test_a_path_forges_no_line_of_the_log(plain_site: Site, path: str, odd: str) -> None:
    before = len(plain_site.log())
    answer = httpx.get(
        f"{plain_site.url}{path}{odd}", headers=plain_site.headers, trust_env=False, timeout=60
    )
    assert answer.status_code == 404
    logged = until(
        lambda: (
            "INFO native_api.request GET" in plain_site.log()[before:] and plain_site.log()[before:]
        ),
        "the line",
    )
    lines = [line for line in logged.splitlines() if "forged" in line]
    assert lines
    assert all(
        line.startswith(("INFO native_api.request GET", "WARNING django.request"))
        and line.isprintable()
        for line in lines
    )


def test_secrets_never_reach_the_log(
    http: httpx.Client, asgi_site: Site, upstream: Upstream
) -> None:
    """Not even at level DEBUG, which this site logs at, and whatever went wrong."""
    upstream.script("repeats", says({"error": {"message": TELLS_ALL}}, 500))
    for model in ("hello", "up/repeats", "dead/any"):
        http.post(
            PATH,
            json={
                **CHAT,
                "model": model,
                "messages": [{"role": "user", "content": "a-prompt-nobody-logs"}],
            },
        )
    httpx.get(
        f"{asgi_site.url}/v1/models",
        headers={"authorization": f"Bearer {asgi_site.key}x"},
        trust_env=False,
        timeout=60,
    )
    log = asgi_site.log()
    assert '"native_api.request"' in log
    assert "a-prompt-nobody-logs" not in log
    for secret in ("sk-upstream-secret", "sk-dead-secret", asgi_site.key):
        assert secret not in log
