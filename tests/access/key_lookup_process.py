"""A process of the site that looks keys up: a key a line on stdin, what became of it a line on
stdout."""

from __future__ import annotations

import asyncio
import sys

import django


async def main() -> None:
    from native_api.access.keys.cache import cache
    from native_api.exceptions import NativeError

    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            key = await cache.aget(line.strip())
            print(f"accepted {key.name}", flush=True)
        except NativeError as error:
            print(error.code, flush=True)


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
