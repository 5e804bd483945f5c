"""The built wheel in a site made by `django-admin startproject`, by nothing more than what the README says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest

from tests.servers import ROOT, free_port, stop, until

SETTINGS = """
INSTALLED_APPS += ["rest_framework", "native_api"]
NATIVE_API = {"PROVIDERS": {"echo": {}}, "MODELS": {"echo": {"TARGETS": [{"PROVIDER": "echo", "MODEL": "echo"}]}}}
"""

URLS = """
from django.urls import include
urlpatterns += [path("native/", include("native_api.urls"))]
"""

SERVERS = {
    "uvicorn, Django's own application": ["-m", "uvicorn", "site_of_others.asgi:application", "--port", "{port}"],
    "uvicorn, the gateway's": ["-m", "uvicorn", "--factory", "native_api.asgi:get_asgi_application", "--port", "{port}"],
    "gunicorn": ["-m", "gunicorn", "site_of_others.wsgi", "--bind", "127.0.0.1:{port}"],
    "runserver": ["manage.py", "runserver", "--noreload", "{port}"],
}


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], str]:
    """A fresh site with the wheel beside it, its environment, and a key."""
    folder = tmp_path_factory.mktemp("foreign")
    source = folder / "source"
    run("git", "clone", "--quiet", ROOT, source, cwd=folder)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source, cwd=folder)
    [wheel] = folder.glob("*.whl")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder / "installed", wheel, cwd=folder)
    run(sys.executable, "-m", "django", "startproject", "site_of_others", cwd=folder)
    project = folder / "site_of_others"
    with (project / "site_of_others" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    with (project / "site_of_others" / "urls.py").open("a") as urls:
        urls.write(URLS)
    env = {**os.environ, "PYTHONPATH": str(folder / "installed"), "DJANGO_SETTINGS_MODULE": "site_of_others.settings"}
    run(sys.executable, "manage.py", "check", cwd=project, env=env)
    run(sys.executable, "manage.py", "migrate", "--verbosity", "0", cwd=project, env=env)
    assert "No changes" in run(sys.executable, "manage.py", "makemigrations", "--check", "native_api", cwd=project, env=env)
    alice = ("createsuperuser", "--noinput", "--username", "alice", "--email", "alice@example.com")
    run(sys.executable, "manage.py", *alice, cwd=project, env={**env, "DJANGO_SUPERUSER_PASSWORD": "alice"})
    key = run(sys.executable, "manage.py", "native_key", "create", "alice", "--name", "laptop", cwd=project, env=env)
    return project, env, key


@pytest.mark.parametrize("server", SERVERS)
def test_it_serves_the_sdk(site: tuple[Path, dict[str, str], str], server: str) -> None:
    project, env, key = site
    port = free_port()
    command = [sys.executable, *(part.format(port=port) for part in SERVERS[server])]
    log_path = project / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, cwd=project, env=env, stdout=log, stderr=log)
    try:
        until(lambda: answers(port), f"{server} to start", 30)
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/native/v1", api_key=key, max_retries=0) as client:
            stream = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "from afar"}], stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "from afar"
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "x"}])
    finally:
        stop(process)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/native/health/live", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
