"""The files around the code: what the package contains, and what the forge and pre-commit run."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from native_api.views.private_api import CHECKED_DJANGO

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "native_api"
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
ISSUE_TEMPLATES: Final = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


# --- the package ---------------------------------------------------------------------------------


def declared_files() -> dict[str, set[Path]]:
    """Pattern of package-data -> the files that it finds."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["native_api"]
    return {
        pattern: {path for path in PACKAGE.glob(pattern) if path.is_file()} for pattern in patterns
    }


def test_every_declared_pattern_finds_files() -> None:
    assert all(declared_files().values())


def test_every_file_that_is_not_code_is_declared() -> None:
    there = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".swp")
    }
    assert set().union(*declared_files().values()) == there


def test_every_licence_is_declared() -> None:
    declared = {ROOT / name for name in PROJECT["project"]["license-files"]}
    assert declared == {ROOT / "LICENSE", *PACKAGE.rglob("LICENSE*")}


def test_the_requirements_are_those_of_the_package_and_its_tests() -> None:
    required = {
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    declared = {*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["test"]}
    missing = {line.replace("'", '"') for line in declared} - required
    assert missing <= {"asgiref>=3.9.1"}, "Django brings it"


def packages_of(requirements: Iterable[str]) -> set[str]:
    """The packages that an installation of these brings here, and those that they need."""
    found: set[str] = set()
    waiting = [(text, "") for text in requirements]
    while waiting:
        text, extra = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            found.add(canonicalize_name(requirement.name))
            needed = distribution(requirement.name).requires or ()
            waiting += product(needed, ("", *requirement.extras))
    return found


def test_an_installation_brings_few_packages() -> None:
    assert len(packages_of(PROJECT["project"]["dependencies"])) <= 25


# --- what the forge runs -------------------------------------------------------------------------


def test_the_workflow_runs_what_developers_run() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    commands = set(re.findall(r"\.ci/\w+", workflow))
    assert commands == {".ci/run", ".ci/full"}
    assert all(os.access(ROOT / command, os.X_OK) for command in commands)
    steps = load(".github/workflows/ci.yml")["jobs"]["test"]["steps"]
    assert steps[-1] == {"run": "${{ inputs.command || '.ci/run' }}"}


def test_the_workflow_tests_every_supported_version() -> None:
    matrix = load(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    classifiers = "\n".join(PROJECT["project"]["classifiers"])
    assert matrix["python"] == re.findall(r"Python :: (\d\.\d+)", classifiers)
    assert matrix["django"] == [f"{major}.{minor}" for major, minor in sorted(CHECKED_DJANGO)]
    for excluded in matrix["exclude"]:
        assert excluded["python"] in matrix["python"]
        assert excluded["django"] in matrix["django"]


def test_pre_commit_runs_the_linters_of_ci() -> None:
    hooks = load(".pre-commit-config.yaml")["repos"][0]["hooks"]
    entries = {hook["entry"].removesuffix(" --force-exclude") for hook in hooks}
    assert entries == {".venv/bin/ruff check", ".venv/bin/ruff format", ".venv/bin/mypy"}
    ci = (ROOT / ".ci" / "run").read_text()
    assert all(entry in ci for entry in entries)


@pytest.mark.parametrize("path", ISSUE_TEMPLATES, ids=lambda path: path.stem)
def test_every_issue_template_warns_of_secrets(path: Path) -> None:
    _, head, text = path.read_text().split("---\n", 2)
    assert {"name", "about", "labels"} == yaml.safe_load(head).keys()
    assert "Replace keys, tokens" in text


def test_the_issue_chooser_offers_the_templates() -> None:
    assert ISSUE_TEMPLATES
    assert load(".github/ISSUE_TEMPLATE/config.yml") == {"blank_issues_enabled": False}
