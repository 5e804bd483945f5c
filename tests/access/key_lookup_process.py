"""A process of the site that looks keys up: a key a line on stdin, what became of it a line on
stdout. A line such as `+4` moves its clock forward by so many seconds."""

from __future__ import annotations

import asyncio
import sys
import time

import django


async def main() -> None:
    from native_api.access.keys.cache import cache
    from native_api.exceptions import NativeError

    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.startswith("+"):
            move_clock(float(line))
            continue
        try:
            key = await cache.aget(line.strip())
            print(f"accepted {key.name}", flush=True)
        except NativeError as error:
            print(error.code, flush=True)


def move_clock(seconds: float) -> None:
    clock = time.monotonic
    time.monotonic = lambda: clock() + seconds


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
