"""Installs the clients from their registries: Python's into a virtual environment, Node's below a
folder. Nothing is pinned: the newest versions must work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INSTALL_SECONDS: Final = 400

PYTHON_CLIENTS: Final = (
    "anthropic",
    "openai",
    "openai-agents",
    "pydantic-ai-slim[openai,anthropic]",
    "langchain-openai",
    "langchain-anthropic",
)
NODE_CLIENTS: Final = (
    "@openai/codex",
    "@anthropic-ai/claude-code",
    "ai",
    "@ai-sdk/openai",
    "@ai-sdk/anthropic",
    "zod",
)


class NotInstalled(Exception):
    """A client cannot be installed. The message has the end of what the installer printed."""


@dataclass(frozen=True)
class Clients:
    """Where the installed clients are."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "python" / "bin" / "python"

    @property
    def node_modules(self) -> Path:
        return self.folder / "node" / "node_modules"

    def command(self, name: str) -> Path:
        """A command that a Node package brings."""
        return self.node_modules / ".bin" / name

    def versions(self) -> dict[str, str]:
        """Package -> version, of those that were asked for, and of Node and Python."""
        versions = {"Node": _output("node", "--version").lstrip("v")}
        versions["Python"] = _output(str(self.python), "--version").removeprefix("Python ")
        for name in sorted(NODE_CLIENTS):
            package = json.loads((self.node_modules / name / "package.json").read_text())
            versions[name] = package["version"]
        return {**versions, **self._python_versions()}

    def _python_versions(self) -> dict[str, str]:
        listed = json.loads(_output(str(self.python), "-m", "pip", "list", "--format", "json"))
        versions = {package["name"].lower(): package["version"] for package in listed}
        return {name: versions[name.partition("[")[0]] for name in PYTHON_CLIENTS}


def install(folder: Path) -> Clients:
    """The clients in this folder; those that are there already are not installed again. Raises
    NotInstalled."""
    clients = Clients(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_install_python, clients), pool.submit(_install_node, clients)]:
            done.result()
    _check(clients)
    return clients


def _install_python(clients: Clients) -> None:
    if clients.python.exists():
        return
    folder = clients.python.parents[1]
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(clients.python), "-m", "pip", "install", "--quiet", *PYTHON_CLIENTS)


def _install_node(clients: Clients) -> None:
    if clients.node_modules.exists():
        return
    folder = clients.node_modules.parent
    folder.mkdir()
    options = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel", "error"]
    _run("npm", "install", "--prefix", str(folder), *options, *NODE_CLIENTS)


def _check(clients: Clients) -> None:
    """Raises NotInstalled if a client's command does not even print its version."""
    home = {"HOME": str(clients.folder), "CODEX_HOME": str(clients.folder)}
    for name in ("codex", "claude"):
        _run(str(clients.command(name)), "--version", **home)


def _run(*command: str, **environment: str) -> None:
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{command[0]}: {error}") from error
    if done.returncode:
        raise NotInstalled(f"{' '.join(command)}\n{(done.stdout + done.stderr)[-2000:]}")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
