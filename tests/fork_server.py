"""Python processes that start quickly: forks of one process that has imported the libraries.

Most of what a server process does before its first request is importing libraries, and they are the
same for hundreds of processes. Everything else happens in the new process: its settings, Django's
set-up, and the import of all our own code.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import os
import pickle
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parent.parent

LIBRARIES = (
    "aiohttp",
    "asgiref.sync",
    "concurrent.futures.thread",
    "cryptography.fernet",
    "dj_database_url",
    "django.contrib.postgres.fields",
    "django.core.cache.backends.filebased",
    "django.core.cache.backends.locmem",
    "django.core.handlers.asgi",
    "django.core.handlers.wsgi",
    "django.core.management.commands.check",
    "django.core.management.commands.migrate",
    "django.core.management.commands.runserver",
    "django.core.servers.basehttp",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.template.defaulttags",
    "django.views.generic",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "gunicorn.workers.sync",
    "httpx_aiohttp",
    "redis",
    "requests",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.main",
    "uvicorn.protocols.http.httptools_impl",
    "yaml",
)
"""What the processes of the tests import before they read settings."""

imported: list[str] = []
"""What the fork server imports: `LIBRARIES` in tests. For benchmarks nothing, since they measure
processes as a site starts them."""


class ForkedProcess:
    """Like `subprocess.Popen`, as far as the tests use it."""

    stdin: IO[str]
    stdout: IO[str]
    """If it has pipes."""

    def __init__(self, arguments: Sequence[str], connection: socket.socket) -> None:
        self.args = list(arguments)
        self.returncode: int | None = None
        self._connection = connection
        self._lock = threading.Lock()
        self.pid = _receive_number(connection)

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
                self.returncode = _receive_number(self._connection)
                self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def finish(self, last: str = "") -> str:
        """Write this to its stdin, close that, and return what it writes until it ends."""
        with self.stdin, self.stdout:
            self.stdin.write(last)
            self.stdin.close()
            written = self.stdout.read()
        self.wait(HANG_SECONDS)
        return written


NUMBER = struct.Struct("i")
"""The process id, and the exit code, as the fork server sends them."""


def _receive_number(connection: socket.socket) -> int:
    number: int
    [number] = NUMBER.unpack(connection.recv(NUMBER.size, socket.MSG_WAITALL))
    return number


class ForkServer:
    """The process that has imported the libraries, as seen from the tests."""

    def __init__(self, interpreter_settings: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *imported],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                env={**os.environ, **interpreter_settings},
            )
        atexit.register(self._close)

    def _close(self) -> None:
        self._socket.close()
        self._process.wait()

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], streams: Sequence[IO[Any]]
    ) -> ForkedProcess:
        """`streams` are its stdin, stdout and stderr."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            descriptors = [theirs.fileno(), *(stream.fileno() for stream in streams)]
            socket.send_fds(self._socket, [b"f"], descriptors)
        ours.sendall(pickle.dumps((list(arguments), dict(environment))))
        return ForkedProcess(arguments, ours)


@functools.cache
def _fork_server(interpreter_settings: tuple[tuple[str, str], ...]) -> ForkServer:
    return ForkServer(dict(interpreter_settings))


def start_python(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    has_pipes: bool = False,
    output: IO[Any] | None = None,
    errors: IO[Any] | None = None,
) -> ForkedProcess:
    """Start Python with these arguments (`-m MODULE …` or `-c CODE …`), at the root of the project.

    With pipes the tests write its stdin and read its stdout, as text. Else it has no stdin, and
    streams that are not given are those of the tests.
    """
    settings = sorted(pair for pair in environment.items() if pair[0].startswith("PYTHON"))
    server = _fork_server(tuple(settings))
    errors = errors or sys.__stderr__
    if not has_pipes:
        with Path(os.devnull).open() as nothing:
            return server.start(arguments, environment, [nothing, output or sys.__stdout__, errors])
    its_stdin, our_stdin = os.pipe()
    our_stdout, its_stdout = os.pipe()
    with os.fdopen(its_stdin) as stdin, os.fdopen(its_stdout, "w") as stdout:
        process = server.start(arguments, environment, [stdin, stdout, errors])
    process.stdin, process.stdout = os.fdopen(our_stdin, "w"), os.fdopen(our_stdout)
    return process


def run_python(
    arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, with what it writes captured."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = start_python(arguments, environment, output=output, errors=errors)
        try:
            code = process.wait(2 * HANG_SECONDS)
        finally:
            process.kill()
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(process.args, code, output.read(), errors.read())


# --- in the fork server ---------------------------------------------------------------------------


def main() -> None:
    descriptor, *wanted = sys.argv[1:]
    for library in wanted:
        importlib.import_module(library)
    wakeup, in_handler = socket.socketpair()
    with socket.socket(fileno=int(descriptor)) as control, wakeup, in_handler:
        wakeup.setblocking(False)
        in_handler.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(in_handler.fileno())
        arguments = serve(control, wakeup)
    if arguments:
        run(arguments)


def serve(control: socket.socket, wakeup: socket.socket) -> list[str] | None:
    """Fork whenever the tests ask for it. Returns None at the end, in a fork its arguments."""
    children: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, wakeup], [], [])
        if wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                wakeup.recv(4096)
            report_ended(children)
        if control not in ready:
            continue
        data, descriptors, _, _ = socket.recv_fds(control, 1, 4)
        if not data:
            return None
        connection = socket.socket(fileno=descriptors[0])
        with connection.makefile("rb") as request:
            arguments, environment = pickle.load(request)
        if pid := os.fork():
            children[pid] = connection
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            connection.sendall(NUMBER.pack(pid))
            continue
        for held in (connection, *children.values()):
            held.close()
        become_its_own_process(descriptors[1:], environment)
        return list(arguments)


def become_its_own_process(streams: list[int], environment: dict[str, str]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)


def report_ended(children: dict[int, socket.socket]) -> None:
    """Tell the tests how their processes ended."""
    for pid, connection in list(children.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(BrokenPipeError), children.pop(pid) as connection:
                connection.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def run(arguments: list[str]) -> None:
    """What the interpreter does with these arguments."""
    option, what, *rest = arguments
    if option == "-m":
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *rest]
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(module))


if __name__ == "__main__":
    main()
