"""A proxy in front of a real server, which can stop forwarding: a server that hangs, not a dead one.

It accepts connections all the while, and remembers on which of them somebody waits for an answer.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

BUFFER = 65536


class HangingProxy:
    """`port` is where it listens."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._waiting: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def waiting_count(self) -> int:
        """Connections on which something was asked since `hang`. Whoever asked waits there for
        good, so this is the number of those that waited."""
        return len(self._waiting)

    def hang(self) -> None:
        self._waiting.clear()
        self._flows.clear()

    def go_on(self) -> None:
        self._flows.set()

    def close(self) -> None:
        self._flows.set()
        for each in [self._server, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(self._target, timeout=None)
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._forward, args=(source, sink, client), daemon=True
                    ).start()

    def _forward(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BUFFER):
                if not self._flows.is_set() and source is client:
                    self._waiting.add(client)
                self._flows.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def hanging_proxy(host: str, port: int) -> Iterator[HangingProxy]:
    proxy = HangingProxy(host, port)
    try:
        yield proxy
    finally:
        proxy.close()
