"""Threads, event loops and streams: everything that crosses from synchronous to asynchronous code.

Rules:
1. Under ASGI everything runs on the server's own loop; nothing here starts another one.
2. Under WSGI, and for synchronous Python callers, one background loop per process runs the calls.
   It starts when first needed, and again after a fork, so pre-forking servers are safe.
3. A stream is driven by one long-lived task, the pump, that feeds a bounded buffer. The reader
   takes everything that is buffered at once, or a keep-alive comment after a silence. Timeouts that
   the source holds across items live in the pump's task and keep working.
4. Closing or dropping the reader's end cancels the pump, which closes the source, which closes the
   upstream connection.
5. Synchronous calls that may hang (database, cache) run in threads of their own, never in the
   event loop's default executor, which everybody needs.
"""

from native_api.background.loop import CLOSE_TIMEOUT_SECONDS, BackgroundLoop, relay, run
from native_api.background.outages import CallTimeout, ResourceUnavailable
from native_api.background.streaming import (
    MAX_BUFFERED_BYTES,
    MAX_STALL_SECONDS,
    AsyncStream,
    Source,
    SyncStream,
    close_streams,
)

__all__ = [
    "CLOSE_TIMEOUT_SECONDS",
    "MAX_BUFFERED_BYTES",
    "MAX_STALL_SECONDS",
    "AsyncStream",
    "BackgroundLoop",
    "CallTimeout",
    "ResourceUnavailable",
    "Source",
    "SyncStream",
    "close_streams",
    "relay",
    "run",
]
