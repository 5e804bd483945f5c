"""The built wheel in a site made by `django-admin startproject`, by nothing more than what the
README says."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import openai
import pytest

from tests.servers import ROOT, free_port, stop, until

README = (ROOT / "README.md").read_text()
TESTING = (ROOT / "docs" / "testing.md").read_text()

OTHER_SUITE = """
import sys


def test_the_plugin_is_there_and_has_not_imported_django(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("native_api")
    assert not {"django", "rest_framework", "native_api.testing"} & sys.modules.keys()
"""

SERVERS = {
    "uvicorn, Django's own application": [
        "-m",
        "uvicorn",
        "site_of_others.asgi:application",
        "--port",
        "{port}",
    ],
    "uvicorn, the gateway's": [
        "-m",
        "uvicorn",
        "site_of_others.asgi_of_the_gateway:application",
        "--port",
        "{port}",
    ],
    "gunicorn": ["-m", "gunicorn", "site_of_others.wsgi", "--bind", "127.0.0.1:{port}"],
    "runserver": ["manage.py", "runserver", "--noreload", "{port}"],
}


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], str]:
    """A fresh site with the wheel beside it, its environment, and a key."""
    folder = tmp_path_factory.mktemp("foreign")
    source = folder / "source"
    run("git", "clone", "--quiet", ROOT, source, cwd=folder)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        source,
        cwd=folder,
    )
    [wheel] = folder.glob("*.whl")
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        folder / "installed",
        wheel,
        cwd=folder,
    )
    run(sys.executable, "-m", "django", "startproject", "site_of_others", cwd=folder)
    project = folder / "site_of_others"
    follow_readme(project / "site_of_others")
    inherited = {
        name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"
    }
    env = {**inherited, "PYTHONPATH": str(folder / "installed"), "OPENAI_API_KEY": "sk-of-nobody"}
    run(sys.executable, "manage.py", "check", "--fail-level", "ERROR", cwd=project, env=env)
    migrate, create_user, _, create_key = readme_commands()
    run(sys.executable, *migrate, cwd=project, env=env)
    assert "No changes" in run(
        sys.executable, "manage.py", "makemigrations", "--check", "native_api", cwd=project, env=env
    )
    answers = {"DJANGO_SUPERUSER_EMAIL": "alice@example.com", "DJANGO_SUPERUSER_PASSWORD": "alice"}
    run(sys.executable, *create_user, "--noinput", cwd=project, env={**env, **answers})
    return project, env, run(sys.executable, *create_key, cwd=project, env=env)


def follow_readme(package: Path) -> None:
    """Do as it says, word for word."""
    for name in ("settings", "urls"):
        [block] = re.findall(rf"```python\n# {name}\.py, at its end\n(.*?)```", README, re.DOTALL)
        with (package / f"{name}.py").open("a") as file:
            file.write(block)
    asgi = (package / "asgi.py").read_text()
    assert "`native_api.asgi` instead of `django.core.asgi`" in README
    (package / "asgi_of_the_gateway.py").write_text(
        asgi.replace("django.core.asgi", "native_api.asgi")
    )


def readme_commands() -> list[list[str]]:
    """`migrate`, `createsuperuser`, `runserver` and `native_key create`, as arguments of Python."""
    lines = re.findall(
        r"\bpython (manage\.py [^\n)]*)", README.partition("## Add it to your site")[2]
    )
    commands = [shlex.split(line, comments=True) for line in lines]
    names = [command[1] for command in commands]
    assert names == ["migrate", "createsuperuser", "runserver", "native_key"]
    return commands


def site_with_providers(project: Path, env: dict[str, str]) -> dict[str, str]:
    """The environment of the site with the README's second NATIVE_API in place of the first."""
    [block] = re.findall(
        r"```python\n# settings\.py, in place of that NATIVE_API\n(.*?)```", README, re.DOTALL
    )
    (project / "site_of_others" / "with_providers.py").write_text(
        f"from site_of_others.settings import *\n{block}"
    )
    return {**env, "DJANGO_SETTINGS_MODULE": "site_of_others.with_providers"}


def test_without_the_variable_of_the_key_manage_py_works_and_says_what_is_missing(
    site: tuple[Path, dict[str, str], str],
) -> None:
    project, env, _ = site
    env = site_with_providers(project, env)
    without = {name: value for name, value in env.items() if name != "OPENAI_API_KEY"}
    command = [sys.executable, "manage.py", "check"]
    done = subprocess.run(command, cwd=project, env=without, capture_output=True, text=True)
    assert "NATIVE_API['PROVIDERS']['openai']: no API_KEY." in done.stderr
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_the_app_and_nothing_else(site: tuple[Path, dict[str, str], str]) -> None:
    [wheel] = site[0].parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "native_api",
        "django_native_api",
    }
    kept = [
        path
        for path in (ROOT / "native_api").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    assert {str(path.relative_to(ROOT)) for path in kept} <= set(names)


def test_on_pypi_no_link_of_the_readme_leads_nowhere(
    site: tuple[Path, dict[str, str], str],
) -> None:
    [wheel] = site[0].parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        page = archive.read(metadata).decode()
    assert "`docs/settings.md`" in page
    assert re.findall(r"\]\((?!https://|#)[^)]*\)", page) == []


def test_with_an_address_of_the_source_the_links_lead_there() -> None:
    text = "[Settings](docs/settings.md), [pip](https://pip.pypa.io) and [below](#more)"
    [source, none] = [
        runpy.run_path(str(ROOT / "setup.py"))["readme_for_pypi"](text, source)
        for source in ("https://git.example/project", "")
    ]
    kept = "[pip](https://pip.pypa.io) and [below](#more)"
    assert source == f"[Settings](https://git.example/project/blob/main/docs/settings.md), {kept}"
    assert none == f"Settings (`docs/settings.md`), {kept}"


def test_the_readme_ends_with_a_first_answer_without_a_provider_s_key(
    site: tuple[Path, dict[str, str], str],
) -> None:
    """Its server, its `export` and its `curl`, as they are written but for the port."""
    project, env, _ = site
    env = {name: value for name, value in env.items() if name != "OPENAI_API_KEY"}
    [script] = re.findall(r"```sh\n(export NATIVE_API_KEY.*?)```", README, re.DOTALL)
    port = free_port()
    *_, run_server, _ = readme_commands()
    with (project / "readme.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *run_server, "--noreload", str(port)],
            cwd=project, env=env, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: answers(port), "runserver")
        if shutil.which("curl") is None:
            pytest.skip("There is no curl on this machine to run the README's line with.")
        script = f'python() {{ "{sys.executable}" "$@"; }}\n' + script
        printed = run(
            "sh", "-c", script.replace("127.0.0.1:8000", f"127.0.0.1:{port}"),
            cwd=project, env={**env, "NO_PROXY": "*"},
        )  # fmt: skip
    finally:
        stop(process)
    assert json.loads(printed)["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("server", SERVERS)
def test_it_serves_the_sdk(site: tuple[Path, dict[str, str], str], server: str) -> None:
    project, env, key = site
    port = free_port()
    command = [sys.executable, *(part.format(port=port) for part in SERVERS[server])]
    log_path = project / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=project, env=env, stdout=log, stderr=log)
    try:
        until(lambda: answers(port), f"{server} to start")
        with openai.OpenAI(
            base_url=f"http://127.0.0.1:{port}/native/v1", api_key=key, max_retries=0
        ) as client:
            stream = client.chat.completions.create(
                model="echo/anything",
                messages=[{"role": "user", "content": "from afar"}],
                stream=True,
            )
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "from afar"
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(
                    model="nobody", messages=[{"role": "user", "content": "x"}]
                )
    finally:
        stop(process)


@pytest.fixture(scope="module")
def tested_site(site: tuple[Path, dict[str, str], str]) -> tuple[Path, dict[str, str]]:
    """The site with the files of docs/testing.md: its function, and the tests of it."""
    project, env, _ = site
    examples = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", TESTING, re.DOTALL)
    assert {name for name, _ in examples} >= {"summaries.py", "conftest.py", "tests.py"}
    for name, code in examples:
        (project / name).write_text(code)
    return project, site_with_providers(project, env)


def test_a_suite_of_pytest_finds_the_fixture(tested_site: tuple[Path, dict[str, str]]) -> None:
    project, env = tested_site
    options = [
        "-q",
        "-W",
        "error",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        "--ds",
        "site_of_others.with_providers",
    ]
    files = [path.name for path in sorted(project.glob("test*.py"))]
    output = run(sys.executable, "-m", "pytest", *options, *files, cwd=project, env=env)
    assert re.search(r"\b15 passed in", output), output


def test_a_suite_of_django_runs_in_parallel(tested_site: tuple[Path, dict[str, str]]) -> None:
    project, env = tested_site
    command = ["-W", "error", "manage.py", "test", "--parallel", "2", "--pattern", "tests.py"]
    run(sys.executable, *command, cwd=project, env=env)


def test_the_plugin_does_nothing_to_other_suites(
    site: tuple[Path, dict[str, str], str], tmp_path: Path
) -> None:
    (tmp_path / "test_other.py").write_text(OTHER_SUITE)
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:django"]
    run(sys.executable, "-m", "pytest", *options, cwd=tmp_path, env=site[1])


def answers(port: int) -> bool:
    try:
        return (
            httpx.get(
                f"http://127.0.0.1:{port}/native/health/live", trust_env=False, timeout=60
            ).status_code
            == 200
        )
    except httpx.HTTPError:
        return False
