"""Django's own test cases work in a site that has the app, without a word in their set-up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.servers import ROOT
from tests.usage.conftest import POSTGRES, ask_postgres

SETTINGS = """
import os

import dj_database_url

INSTALLED_APPS += ["rest_framework", "native_api"]
NATIVE_API = {"PROVIDERS": {"echo": {}}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES["default"] = dj_database_url.parse(os.environ["HOST_DATABASE"], conn_max_age=60)
if os.environ.get("HOST_TEST_FILE"):
    DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}
"""
URLS = """
from django.urls import include

urlpatterns += [path("native/", include("native_api.urls"))]
"""

DATABASES = {
    "SQLite in memory": {"HOST_DATABASE": "sqlite:///db.sqlite3"},
    "SQLite in a file": {"HOST_DATABASE": "sqlite:///db.sqlite3", "HOST_TEST_FILE": "1"},
    "PostgreSQL": {"HOST_DATABASE": POSTGRES.rpartition("/")[0] + f"/host_site_{os.getpid()}"},
}

PYTEST = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests.py"]

RUNS = {
    "SQLite in memory, with pytest in parallel": ("SQLite in memory", [*PYTEST, "-n", "2"]),
    "SQLite in a file, with Django": ("SQLite in a file", ["manage.py", "test"]),
    "PostgreSQL, with Django in parallel": ("PostgreSQL", ["manage.py", "test", "--parallel", "2"]),
    "PostgreSQL, with pytest": ("PostgreSQL", PYTEST),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh site, with tests of its own."""
    folder = tmp_path_factory.mktemp("host")
    command = [sys.executable, "-m", "django", "startproject", "host", str(folder)]
    subprocess.run(command, env=environment_of_others(), check=True)
    for name, more in (("settings", SETTINGS), ("urls", URLS)):
        with (folder / "host" / f"{name}.py").open("a") as file:
            file.write(more)
    tests = (ROOT / "tests" / "front" / "host_site_tests.py").read_text()
    (folder / "tests.py").write_text(tests)
    return folder


def environment_of_others() -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"
    }
    return {**inherited, "PYTHONPATH": str(ROOT)}


def skip_without_postgres() -> None:
    try:
        ask_postgres(POSTGRES, "SELECT 1")
    except psycopg.OperationalError:
        pytest.skip(f"no PostgreSQL at {POSTGRES}")


@pytest.mark.parametrize("run", RUNS)
def test_a_sites_own_tests_pass(site: Path, run: str) -> None:
    database, command = RUNS[run]
    if database == "PostgreSQL":
        skip_without_postgres()
    environment = {
        **environment_of_others(),
        **DATABASES[database],
        "DJANGO_SETTINGS_MODULE": "host.settings",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=site,
        env=environment,
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert re.search(r"\b[45]\d passed|Ran 4\d tests", output), output
    assert "Traceback" not in output, output
    assert not list(site.glob("native_journal/*")), "records are in the database at once"
