"""Work with which a process that serves the site begins, without waiting for a request.

Rules:
1. A process serves if Django is set up for a WSGI or ASGI application, or by `runserver`. Other
   commands, shells, tests and workers of task queues do not.
2. The work begins a moment later, in a thread. If the process forks in that moment, as gunicorn
   does with `--preload`, it leaves the work to its children, now and later: a fork should find
   no thread.
"""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from django.apps import apps
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

DELAY_SECONDS: Final = 2.0
"""Between the setup of Django and the work. A server that is going to fork does so meanwhile."""

JOIN_SECONDS: Final = 1.0

APPLICATION_MODULES: Final = {"django.core.wsgi", "django.core.asgi"}


class ServerStart:
    """Calls `begin` once in each process that serves."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        self._begin = begin
        self._timer: threading.Timer | None = None
        self._has_begun = False
        self._is_left_to_children = False

    def schedule(self) -> None:
        self._has_begun = self._is_left_to_children = False
        self._timer = threading.Timer(DELAY_SECONDS, self._run)
        self._timer.name, self._timer.daemon = "native-api-start", True
        self._timer.start()

    def _run(self) -> None:
        apps.ready_event.wait()
        self._has_begun = True
        self._begin()

    def before_fork(self) -> None:
        if self._timer is None or self._has_begun:
            return
        self._timer.cancel()
        self._timer.join(JOIN_SECONDS)
        self._is_left_to_children = not self._has_begun

    def after_fork_in_child(self) -> None:
        if self._is_left_to_children:
            self.schedule()


def call_when_serving(begin: Callable[[], Any]) -> None:
    """Call `begin` soon, in a thread, if this process serves. To be called in `AppConfig.ready`."""
    if not is_server(_callers()):
        return
    start = ServerStart(begin)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=start.before_fork, after_in_child=start.after_fork_in_child)
    start.schedule()


def _callers() -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_stack(None)]


def is_server(callers: list[FrameType]) -> bool:
    """Whether Django is being set up by these callers to serve the site."""
    command = next((argv for argv in map(_command_line, callers) if argv), None)
    if command is not None:
        return _is_server_command(command)
    return any(map(_makes_application, callers))


def _command_line(caller: FrameType) -> list[str] | None:
    """The arguments of the command that is being started, if `caller` starts one."""
    if caller.f_code.co_name != "execute":
        return None
    if caller.f_globals.get("__name__") != "django.core.management":
        return None
    argv: list[str] = caller.f_locals["self"].argv
    return argv


def _is_server_command(argv: list[str]) -> bool:
    """`runserver`, or one that extends it, such as `runserver_plus`."""
    command = argv[1] if argv[1:] else ""
    if command == "runserver" and "--noreload" not in argv:
        # The first process watches the files, and starts the one that serves.
        return os.environ.get(DJANGO_AUTORELOAD_ENV) == "true"
    return command.startswith("runserver")


def _makes_application(caller: FrameType) -> bool:
    """Whether it is Django's function that makes an application, or the site's module that is named
    after one by convention, such as `mysite.asgi`."""
    name = str(caller.f_globals.get("__name__", ""))
    is_module = caller.f_code.co_name == "<module>"
    return name in APPLICATION_MODULES or (is_module and name.endswith((".wsgi", ".asgi")))
