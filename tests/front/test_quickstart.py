"""`manage.py native_quickstart`: from nothing to an answer, and harmless to repeat."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.servers import ROOT, free_port, stop, until
from tests.upstream import Upstream

KEY = re.compile(r"nk_[a-z0-9]{8}_[A-Za-z0-9]{49}")


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "PYENV_ROOT", "PYENV_VERSION")}
    return {
        **inherited,
        "HOME": str(folder),
        "SECRET_KEY": "a secret key for this test that is long enough to please",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "JOURNAL_DIR": str(folder / "journal"),
        **more,
    }


def quickstart(folder: Path, *arguments: str, **more: str) -> str:
    command = [sys.executable, "manage.py", "native_quickstart", "--no-serve", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(folder, **more), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_makes_an_admin_a_key_and_the_echo_model_once(tmp_path: Path) -> None:
    first, second = quickstart(tmp_path), quickstart(tmp_path)
    assert KEY.search(first)
    assert "password" in first
    assert not KEY.search(second)
    assert "password" not in second
    assert "echo" in second


def test_it_keeps_provider_keys_from_the_environment_out_of_sight(tmp_path: Path) -> None:
    printed = quickstart(tmp_path, OPENAI_API_KEY="sk-from-the-environment")
    assert "openai" in printed
    assert "sk-from-the-environment" not in printed
    assert b"sk-from-the-environment" not in (tmp_path / "db.sqlite3").read_bytes()


@pytest.mark.parametrize(("name", "ending"), [("vllm", "/v1"), ("ollama", "")])
def test_it_finds_local_servers_and_their_models(tmp_path: Path, upstream: Upstream, name: str, ending: str) -> None:
    async def models(exchange: object) -> None:
        await exchange.json({"object": "list", "data": [{"id": "tiny-llama"}]})  # type: ignore[attr-defined]

    upstream.script("", models)
    base_url = upstream.url.removesuffix("/v1") + ending
    code = (
        "import native_api.providers as p; from dataclasses import replace;"
        f"p.PRESETS[{name!r}] = replace(p.PRESETS[{name!r}], base_url={base_url!r});"
        "from django.core.management import execute_from_command_line as run; run(['manage.py', 'native_quickstart', '--no-serve'])"
    )
    env = environment(tmp_path, DJANGO_SETTINGS_MODULE="gatewayproject.settings")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert f"{name} with 1 model" in done.stdout, done.stderr
    connection = sqlite3.connect(tmp_path / "db.sqlite3")
    assert connection.execute("SELECT provider, model FROM native_api_target WHERE model = 'tiny-llama'").fetchall() == [
        (name, "tiny-llama")
    ]
    connection.close()


def test_what_it_prints_works_on_what_it_serves(tmp_path: Path) -> None:
    port = free_port()
    log_path = tmp_path / "log"
    with log_path.open("wb") as log:
        command = [sys.executable, "manage.py", "native_quickstart", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path, PYTHONUNBUFFERED="1"), stdout=log, stderr=log)
    try:
        until(lambda: "startup complete" in log_path.read_text(), "the server", 60)
        printed = log_path.read_text()
        url = re.search(r"curl (\S+)", printed)
        key = KEY.search(printed)
        assert url
        assert key
        body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
        answer = httpx.post(url[1], json=body, headers={"authorization": f"Bearer {key[0]}"}, trust_env=False)
        assert answer.json()["choices"][0]["message"]["content"] == "Hello"
        elsewhere = httpx.get(f"http://127.0.0.1:{port}/nowhere", trust_env=False)
        assert elsewhere.status_code == 404
        assert "/native/v1/" in elsewhere.json()["error"]["message"]
        assert httpx.get(f"http://127.0.0.1:{port}/static/admin/css/base.css", trust_env=False).status_code == 200
    finally:
        stop(process)
