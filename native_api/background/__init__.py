"""Where synchronous callers meet the event loop. The only place that knows threads and loops.

Rules:
1. Under ASGI everything runs on the server's own loop; nothing here starts another.
2. Under WSGI, and for synchronous Python callers, one background loop per process runs the engine.
   It is started when first needed and again after a fork, so a pre-forking server is safe.
3. A stream is driven by one long-lived task, the pump, that feeds a bounded buffer. The reader
   takes all that is there in one piece, or a keep-alive comment where nothing came for a while.
   Timeouts that the source holds across items live in the pump's task and keep working.
4. Closing the reader's end, or dropping it, cancels the pump, which closes the source, which closes
   the upstream connection.
5. A synchronous call that may hang (a database, a cache) is made in threads apart from the loop's
   own, which everybody needs.
"""

from native_api.background.executors import IDLE_SECONDS, HangingCall, Threads
from native_api.background.loop import CLOSE_TIMEOUT, BackgroundLoop, relay, run
from native_api.background.streaming import (
    KEEP_ALIVE,
    MAX_BUFFERED,
    MAX_STALL,
    AsyncStream,
    Source,
    SyncStream,
    close_streams,
)

__all__ = [
    "CLOSE_TIMEOUT",
    "IDLE_SECONDS",
    "KEEP_ALIVE",
    "MAX_BUFFERED",
    "MAX_STALL",
    "AsyncStream",
    "BackgroundLoop",
    "HangingCall",
    "Source",
    "SyncStream",
    "Threads",
    "close_streams",
    "relay",
    "run",
]
