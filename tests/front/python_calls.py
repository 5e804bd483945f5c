"""A process of the site that calls models from Python, as its own views and tasks do. Prints what
came of it, as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

django.setup()

from native_api.catalog import catalog  # noqa: E402
from native_api.gateway import calls  # noqa: E402
from native_api.types import Caller  # noqa: E402
from native_api.usage import recorder  # noqa: E402

CHAT: Any = {"model": "hello", "messages": [{"role": "user", "content": "Hi"}]}
CALLER = Caller(user_name="a task")


# From Python 3.12 on, a fork beside other threads warns. Sites fork all the same (gunicorn,
# Celery), and that is what is shown here.
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)


def said(reply: calls.Reply) -> Any:
    return reply.completion["choices"][0]["message"]["content"]


def one() -> Any:
    return said(calls.complete_sync(CHAT, CALLER))


def from_threads() -> Any:
    with ThreadPoolExecutor(8) as threads:
        return [call.result() for call in [threads.submit(one) for _ in range(8)]]


def from_loops() -> Any:
    """Two event loops, one after the other."""

    async def whole_and_streamed() -> list[Any]:
        stream = await calls.stream({**CHAT, "stream": True}, CALLER)
        try:
            pieces = [
                chunk["choices"][0]["delta"].get("content") or ""
                async for batch in stream
                for chunk in batch
            ]
        finally:
            await stream.aclose()
        return [said(await calls.complete(CHAT, CALLER)), "".join(pieces)]

    return [text for _ in range(2) for text in asyncio.run(whole_and_streamed())]


def after_a_fork_in_the_middle() -> Any:
    """Another thread has just begun to read the catalog."""
    with catalog._current._lock, catalog._current._flights._lock:
        child = os.fork()
        if not child:
            signal.alarm(20)
            print(json.dumps([one()]), flush=True)
            recorder.flush()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    return None


def across_a_fork() -> Any:
    """Parent, child, parent again: all with a connection to the provider open since before the
    fork."""
    before = one()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, json.dumps([one(), one()]).encode())
        recorder.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answers:
        of_child = json.loads(answers.read())
    os.waitpid(child, 0)
    return [before, *of_child, one(), one()]


if __name__ == "__main__":
    answers = globals()[sys.argv[1]]()
    if answers:
        print(json.dumps(answers))
