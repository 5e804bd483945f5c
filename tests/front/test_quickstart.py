"""`manage.py native_quickstart`: from nothing to an answer, and harmless to repeat."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from gatewayproject.environment import secret_key
from native_api.catalog.presets import ROWS
from native_api.management.commands.native_quickstart import _client_host, _free_port
from tests.catalog.test_presets import ALL_VARIABLES
from tests.fork_server import run_python, start_python
from tests.scripted_provider import Upstream
from tests.servers import ROOT, environment_for, free_port, manage, stop, until
from tests.usage.conftest import ask_postgres, empty_postgres

KEY = re.compile(r"nk_[a-z0-9]{8}_[A-Za-z0-9]{49}")


WITHOUT_INTERNET = {
    name: value
    for upper, value in (("HTTPS_PROXY", "http://127.0.0.1:9"), ("NO_PROXY", "127.0.0.1,localhost"))
    for name in (upper, upper.lower())
}
"""No vendor is asked for its models."""


def environment(folder: Path, **more: str) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "LANG", "PYENV_ROOT", "PYENV_VERSION")
    }
    return {
        **inherited,
        "HOME": str(folder),
        "SECRET_KEY": "a secret key for this test that is long enough to please",
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "JOURNAL_DIR": str(folder / "journal"),
        **WITHOUT_INTERNET,
        **more,
    }


def quickstart(folder: Path, *arguments: str, **more: str) -> str:
    command = ["-m", "manage", "native_quickstart", "--no-serve", *arguments]
    done = run_python(command, environment(folder, **more))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_makes_an_admin_a_key_and_the_echo_model_once(tmp_path: Path) -> None:
    first, second = quickstart(tmp_path), quickstart(tmp_path)
    assert KEY.search(first)
    assert re.search(r", password \S+ \(shown once\)", first)
    assert not KEY.search(second)
    assert "shown once" not in second
    assert "echo" in second


def modes(*paths: Path) -> dict[str, int]:
    """What each may be used for by whom, as `chmod` writes it. Files that are gone by themselves
    are left out."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths if path.exists()}


def sqlite_files(folder: Path) -> list[Path]:
    return [folder / f"db.sqlite3{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]


def test_what_it_makes_is_its_owners_alone_while_it_serves(tmp_path: Path) -> None:
    with serving(tmp_path, "--port", str(free_port())) as printed:
        key = KEY.findall(printed)[0]
        headers = {"authorization": f"Bearer {key}"}
        httpx.get(f"{printed_url(printed)}/v1/models", headers=headers, trust_env=False, timeout=60)
        found = modes(*sqlite_files(tmp_path))
        assert found.keys() >= {"db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm"}
        assert set(found.values()) == {0o600}
        assert modes(tmp_path / "journal") == {"journal": 0o700}


def test_the_database_is_its_owners_alone_from_its_first_moment_on(tmp_path: Path) -> None:
    """Asked when SQLite opens the file, before anything is in it."""
    code = (
        "import os, stat, sys; from django.db.backends.signals import connection_created as made\n"
        "def look(connection, **kwargs): print('mode', oct(stat.S_IMODE(os.stat(connection.settings_dict['NAME']).st_mode)))\n"
        "made.connect(look)\n"
        "from django.core.management import execute_from_command_line as run; run(['manage.py', 'native_quickstart', '--no-serve'])"
    )
    env = environment(tmp_path, DJANGO_SETTINGS_MODULE="gatewayproject.settings")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        umask=0,
    )
    assert done.stdout.startswith("mode 0o600\n"), done.stderr
    assert set(re.findall("mode (.*)", done.stdout)) == {"0o600"}


def test_what_is_open_to_others_is_tightened_and_said(tmp_path: Path) -> None:
    quickstart(tmp_path)
    journal = tmp_path / "journal"
    leftover = tmp_path / "db.sqlite3-journal"
    leftover.touch()
    for path, mode in ((tmp_path / "db.sqlite3", 0o666), (leftover, 0o644), (journal, 0o755)):
        path.chmod(mode)
    printed = quickstart(tmp_path)
    assert set(modes(*sqlite_files(tmp_path)).values()) == {0o600}
    assert modes(journal) == {"journal": 0o700}
    for name in ("db.sqlite3", "db.sqlite3-journal", "journal"):
        assert f"Tightened: other users of this machine could use {tmp_path / name};" in printed
    assert "Tightened" not in quickstart(tmp_path)


def test_a_journal_in_a_folder_that_is_meant_for_all_leaves_that_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    printed = quickstart(tmp_path, JOURNAL_DIR=str(shared))
    assert modes(shared) == {"shared": 0o1777}
    assert "Tightened" not in printed


def test_it_keeps_provider_keys_from_the_environment_out_of_sight(tmp_path: Path) -> None:
    printed = quickstart(tmp_path, OPENAI_API_KEY="sk-from-the-environment")
    assert "openai" in printed
    assert "sk-from-the-environment" not in printed
    assert b"sk-from-the-environment" not in (tmp_path / "db.sqlite3").read_bytes()


def test_it_registers_every_vendor_whose_variables_are_all_set(tmp_path: Path) -> None:
    printed = quickstart(tmp_path, **ALL_VARIABLES)
    [line] = re.findall(r"^Providers: (.*)$", printed, re.MULTILINE)
    assert {*line.split(", ")} >= {row.name for row in ROWS if row.key_variable or row.options} | {
        "echo"
    }


def test_it_registers_no_vendor_that_lacks_a_variable(tmp_path: Path) -> None:
    printed = quickstart(
        tmp_path, AZURE_OPENAI_API_KEY="k", GOOGLE_CLOUD_PROJECT="p", CLOUDFLARE_API_TOKEN="k"
    )
    assert not re.findall(r"^Providers: .*(?:azure|vertex|cloudflare)", printed, re.MULTILINE)


def test_in_a_site_of_its_own_settings_it_keeps_vendors_as_rows(tmp_path: Path) -> None:
    env = environment_for(
        tmp_path,
        {},
        AZURE_OPENAI_API_KEY="sk-azure",
        AZURE_OPENAI_ENDPOINT="https://x.openai.azure.com/",
    )
    manage(env, "native_quickstart", "--no-serve")
    connection = sqlite3.connect(tmp_path / "db.sqlite3", timeout=60)
    rows = connection.execute(
        "SELECT name, preset, options FROM native_api_provider WHERE name LIKE 'azure%'"
    ).fetchall()
    connection.close()
    assert rows == [("azure", "azure", '{"endpoint": "https://x.openai.azure.com/"}')]


def test_in_a_site_of_its_own_a_key_goes_where_the_environment_says_in_each_run(
    tmp_path: Path,
) -> None:
    def stored(**variables: str) -> list[tuple[str, str]]:
        env = environment_for(tmp_path, {}, **{**WITHOUT_INTERNET, **variables})
        manage(env, "native_quickstart", "--no-serve")
        with contextlib.closing(sqlite3.connect(tmp_path / "db.sqlite3", timeout=60)) as database:
            rows = database.execute(
                "SELECT base_url, api_key FROM native_api_provider WHERE name = 'openai'"
            )
            return rows.fetchall()

    [(base_url, key)] = stored(OPENAI_API_KEY="sk-1", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert base_url == "http://127.0.0.1:9/v1"
    [(other_base_url, other_key)] = stored(OPENAI_API_KEY="sk-1")
    assert other_base_url == ""
    assert other_key != key


@pytest.mark.parametrize(("name", "ending"), [("vllm", "/v1"), ("ollama", "")])
def test_it_finds_local_servers_and_their_models(
    tmp_path: Path, upstream: Upstream, name: str, ending: str
) -> None:
    async def models(exchange: object) -> None:
        members = {"data": [{"id": "tiny-llama"}], "models": [{"name": "tiny-llama"}]}
        await exchange.json(members)  # type: ignore[attr-defined]

    upstream.script("", models)
    base_url = upstream.url.removesuffix("/v1") + ending
    code = (
        "import native_api.catalog.presets as p; from dataclasses import replace;"
        f"p.PRESETS.built_in[{name!r}] = replace(p.PRESETS[{name!r}], base_url={base_url!r});"
        "from django.core.management import execute_from_command_line as run; run(['manage.py', 'native_quickstart', '--no-serve'])"
    )
    env = environment(tmp_path, DJANGO_SETTINGS_MODULE="gatewayproject.settings")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert f"{name} with 1 model" in done.stdout, done.stderr
    connection = sqlite3.connect(tmp_path / "db.sqlite3", timeout=60)
    assert connection.execute(
        "SELECT provider, model FROM native_api_target WHERE model = 'tiny-llama'"
    ).fetchall() == [(name, "tiny-llama")]
    connection.close()


@contextlib.contextmanager
def serving(folder: Path, *arguments: str, **more: str) -> Iterator[str]:
    """What the running quickstart has printed and logged once it serves."""
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = start_python(
            ["-m", "manage", "native_quickstart", *arguments],
            environment(folder, PYTHONUNBUFFERED="1", **more),
            output=log,
            errors=log,
        )
    try:
        until(
            lambda: process.poll() is not None or "Uvicorn running on" in log_path.read_text(),
            "the server",
            60,
        )
        assert process.poll() is None, log_path.read_text()
        yield log_path.read_text()
    finally:
        stop(process)


def printed_url(printed: str) -> str:
    return re.findall(r"curl (\S+)/v1/chat/completions", printed)[0]


def test_what_it_prints_works_on_what_it_serves(tmp_path: Path) -> None:
    with serving(tmp_path, "--port", str(free_port())) as printed:
        [curl] = re.findall(r"^ +curl (?:.*\\\n)+.*$", printed, re.MULTILINE)
        snippet = textwrap.dedent(
            printed.partition("or from Python:\n")[2].partition('end="")')[0] + 'end="")'
        )
        python = [sys.executable, "-c", snippet]
        assert (
            subprocess.run(
                python, env={"NO_PROXY": "*"}, capture_output=True, text=True, timeout=60
            ).stdout
            == "Hello"
        )
        if shutil.which("curl") is None:
            pytest.skip("There is no curl on this machine to run the printed line with.")
        answer = subprocess.run(
            ["sh", "-c", curl],
            env={**os.environ, "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert json.loads(answer.stdout)["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("debug", ["0", "1"])
def test_the_project_answers_every_other_address_in_the_envelope(
    tmp_path: Path, debug: str
) -> None:
    with serving(tmp_path, "--port", str(free_port()), DEBUG=debug) as printed:
        site = printed_url(printed).removesuffix("/native")
        with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
            for method, path in (
                ("GET", "/nowhere"),
                ("POST", "/v1/chat/completions"),
                ("GET", "/%0A"),
                ("GET", "/"),
            ):
                answer = client.request(method, path)
                assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
                assert "/native/v1/" in answer.json()["error"]["message"]
            assert client.get("/admin", follow_redirects=True).url.path == "/admin/login/"
            assert client.get("/static/admin/css/base.css").status_code == 200


def test_a_port_that_is_taken_is_left_to_who_has_it(tmp_path: Path) -> None:
    """Such as a local vLLM, which quickstart looks for on the port that it would serve on
    itself."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [
            sys.executable,
            "manage.py",
            "native_quickstart",
            "--no-serve",
            "--port",
            str(port),
        ]
        refused = subprocess.run(
            command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=60
        )
        assert refused.returncode == 1
        assert f"Cannot listen on 127.0.0.1:{port}" in refused.stderr
        assert _free_port("127.0.0.1", range(port, port + 20)) > port
    assert _free_port("127.0.0.1", [port]) == port


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("gateway.lan", "gateway.lan")],
)
def test_the_address_that_is_printed_can_be_called(host: str, shown: str) -> None:
    assert _client_host(host) == shown


def test_with_nothing_set_everything_is_made_beside_the_project_and_kept(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True, timeout=60)
    command = [sys.executable, "manage.py", "native_quickstart", "--no-serve"]
    runs = [
        subprocess.run(
            command,
            cwd=clone,
            env={"PATH": os.environ["PATH"], **WITHOUT_INTERNET},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for _ in range(2)
    ]
    assert KEY.search(runs[0])
    assert not KEY.search(runs[1])
    assert stat.S_IMODE((clone / ".secret_key").stat().st_mode) == 0o600
    assert modes(*sqlite_files(clone)) == {"db.sqlite3": 0o600}
    assert modes(clone / "native_journal") == {"native_journal": 0o700}
    status = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=clone,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert status.stdout == ""


def test_a_secret_key_that_others_can_read_is_tightened_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ".secret_key"
    path.write_text("a key")
    path.chmod(0o644)
    assert [secret_key(tmp_path) for _ in range(2)] == ["a key"] * 2
    assert modes(path) == {".secret_key": 0o600}
    assert capsys.readouterr().err.count(f"Other users of this machine could use {path};") == 1


def test_the_project_uses_postgresql_and_redis_when_the_urls_say_so(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    with serving(
        tmp_path, "--port", str(free_port()), DATABASE_URL=postgres_url, CACHE_URL=redis_url
    ) as printed:
        key = KEY.findall(printed)[0]
        body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
        url = f"{printed_url(printed)}/v1/chat/completions"
        answer = httpx.post(
            url, json=body, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=60
        )
        assert answer.status_code == 200
        with redis.Redis.from_url(redis_url) as client:
            assert list(client.scan_iter("*rl:*"))
    recorded = ask_postgres(
        postgres_url, "SELECT request_id, user_name FROM native_api_usagerecord"
    )
    assert recorded == [(answer.headers["x-request-id"], "admin")]
    assert not (tmp_path / "db.sqlite3").exists()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with empty_postgres() as url:
        yield url


@pytest.fixture
def redis_url() -> str:
    url = "redis://127.0.0.1:6379/8"
    with redis.Redis.from_url(url) as client:
        try:
            client.ping()
        except redis.ConnectionError:
            pytest.skip(f"no Redis at {url}")
    return url
