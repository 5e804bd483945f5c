"""`manage.py native_quickstart` as a new user meets it: with a provider, in a second run, at a
terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from native_api.management.quickstart_report import StartFacts, account_lines
from tests.front.test_quickstart import (
    KEY,
    environment,
    printed_url,
    quickstart,
    serving,
)
from tests.scripted_provider import Upstream, completion, says
from tests.servers import ROOT, free_port, manage
from tests.waiting import HANG_SECONDS

MODELS = [
    {"id": "gpt-5", "created": 2},
    {"id": "gpt-5-nano", "created": 1},
    {"id": "text-embedding-3-small", "created": 3},
]


@pytest.fixture
def named(upstream: Upstream) -> dict[str, str]:
    """The variables that name the upstream, which lists MODELS, as OpenAI."""

    async def models(exchange: Any) -> None:
        await exchange.json({"object": "list", "data": MODELS})

    upstream.script("", models)
    return {"OPENAI_API_KEY": "sk-mine", "OPENAI_BASE_URL": upstream.url}


def snippet(printed: str) -> str:
    return (
        textwrap.dedent(printed.partition("or from Python:\n")[2].partition('end="")')[0])
        + 'end="")'
    )


def run_snippet(printed: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", snippet(printed)],
        env={"NO_PROXY": "*", **more},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_key_goes_to_the_named_host_whose_models_can_be_called(
    tmp_path: Path, upstream: Upstream, named: dict[str, str]
) -> None:
    upstream.script("gpt-5-nano", says(completion("Good day")))
    earlier = len(upstream.requests)
    with serving(tmp_path, "--port", str(free_port()), **named) as printed:
        key = KEY.findall(printed)[0]
        with httpx.Client(
            base_url=f"{printed_url(printed)}/v1/",
            headers={"authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=HANG_SECONDS,
        ) as client:
            listed = [model["id"] for model in client.get("models").json()["data"]]
            body = {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "Hello"}]}
            answer = client.post("chat/completions", json=body).json()
    assert listed == ["echo", "gpt-5", "gpt-5-nano"]
    assert answer["choices"][0]["message"]["content"] == "Good day"
    assert f"Found:     openai at {upstream.url} with 2 models" in printed
    received = upstream.requests[earlier:]
    assert {request.headers["authorization"] for request in received} == {"Bearer sk-mine"}
    # The cheaper one of the two.
    assert '-d \'{"model": "gpt-5-nano"' in printed
    assert 'create(model="gpt-5-nano"' in printed


def test_a_key_that_is_refused_and_a_host_that_is_silent_are_said(
    tmp_path: Path, upstream: Upstream
) -> None:
    async def refuse(exchange: Any) -> None:
        await exchange.json({"error": {"message": "no"}}, 401)

    upstream.script("", refuse)
    printed = quickstart(
        tmp_path,
        OPENAI_API_KEY="sk-wrong",
        OPENAI_BASE_URL=upstream.url,
        GROQ_API_KEY="k",
        GROQ_BASE_URL="http://127.0.0.1:9",
        XAI_BASE_URL="http://127.0.0.1:9",
    )
    assert (
        f"openai at {upstream.url}, but it refused the key (HTTP 401). Call its models as openai/MODEL."
        in printed
    )
    assert "groq at http://127.0.0.1:9/openai/v1, but it cannot be reached." in printed
    assert "Not added: XAI_BASE_URL is set and XAI_API_KEY is not." in printed
    assert 'create(model="echo"' in printed


def test_a_vendor_without_a_list_has_a_model_to_start_with(tmp_path: Path) -> None:
    printed = quickstart(tmp_path, AWS_BEARER_TOKEN_BEDROCK="k", AWS_REGION="eu-central-1")
    assert "bedrock, but its models cannot be listed. Call its models as bedrock/MODEL." in printed
    assert 'create(model="global.anthropic.claude-haiku-' in printed


def test_it_says_where_the_admin_is_and_who_may_enter(tmp_path: Path) -> None:
    port = str(free_port())
    site = f"http://127.0.0.1:{port}"
    with serving(tmp_path, "--port", port) as printed:
        [(url, user, password)] = re.findall(
            r"^Admin: +(\S+), user (\S+), password (\S+) ", printed, re.MULTILINE
        )
        assert url == f"{site}/admin/"
        with httpx.Client(trust_env=False, timeout=HANG_SECONDS, follow_redirects=True) as client:
            client.get(url)
            form = {
                "username": user,
                "password": password,
                "csrfmiddlewaretoken": client.cookies["csrftoken"],
                "next": "/admin/",
            }
            answer = client.post(f"{url}login/", data=form, headers={"referer": url})
        assert answer.url.path == "/admin/"
        assert "Log out" in answer.text


def test_a_second_run_prints_a_command_for_the_key_and_a_snippet_that_uses_it(
    tmp_path: Path,
) -> None:
    first = KEY.findall(quickstart(tmp_path))[0]
    with serving(tmp_path, "--port", str(free_port())) as printed:
        assert run_snippet(printed, NATIVE_API_KEY=first) == "Hello"
        [export] = re.findall(r"replace it: (export .*)$", printed, re.MULTILINE)
        script = f'{export}\nprintf %s "$NATIVE_API_KEY"'
        done = subprocess.run(
            ["sh", "-c", script],
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )
        assert KEY.fullmatch(done.stdout), done.stderr
        assert done.stdout != first
        assert run_snippet(printed, NATIVE_API_KEY=done.stdout) == "Hello"
    assert '-H "Authorization: Bearer $NATIVE_API_KEY"' in printed


def test_a_new_key_can_be_asked_for(tmp_path: Path) -> None:
    first, second = quickstart(tmp_path), quickstart(tmp_path, "--new-key")
    assert KEY.findall(first)[0] != KEY.findall(second)[0]
    assert (
        manage(
            environment(
                tmp_path, DJANGO_SETTINGS_MODULE="gatewayproject.settings", PYTHONPATH=str(ROOT)
            ),
            "native_key",
            "list",
        ).count("quickstart")
        == 1
    )


def test_a_site_without_an_admin_is_not_said_to_have_one() -> None:
    facts = StartFacts("http://h", "http://h/v1", "", "alice", "pass", "nk_1", "nk_1_x", "echo")
    assert [*account_lines(facts)] == [
        "Admin:     user alice, password pass (shown once)",
        "API key:   nk_1_x (shown once)",
    ]


def read_terminal(descriptor: int, ending: str) -> str:
    text = ""
    while ending not in text:
        ready, _, _ = select.select([descriptor], [], [], HANG_SECONDS)
        assert ready, text
        text += os.read(descriptor, 65536).decode()
    return text.replace("\r\n", "\n")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    controller, end = pty.openpty()
    yield controller, end
    for descriptor in (controller, end):
        os.close(descriptor)


def test_at_a_terminal_it_writes_for_people(
    tmp_path: Path, terminal: tuple[int, int], named: dict[str, str]
) -> None:
    controller, end = terminal
    port = free_port()
    command = [sys.executable, "manage.py", "native_quickstart", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(tmp_path, **named), stdin=end, stdout=end, stderr=end
    ) as process:
        try:
            banner = read_terminal(controller, "(Ctrl-C stops)")
            request = f"http://127.0.0.1:{port}/native/v1/models"
            answers = httpx.HTTPTransport(retries=20)
            with httpx.Client(transport=answers, trust_env=False, timeout=HANG_SECONDS) as client:
                assert client.get(request).status_code == 401
            log = read_terminal(controller, "status=401")
        finally:
            process.terminate()
    for line in (banner + log).splitlines():
        assert not line.startswith("{"), line
    assert "Uvicorn" not in banner + log
    assert re.search(
        r"^\d\d:\d\d:\d\d INFO native_api.request: GET /native/v1/models 401 ", log, re.M
    )
