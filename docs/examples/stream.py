"""A stream, piece by piece. Closing it also closes the connection to the provider."""

from contextlib import aclosing

from native_api import gateway


async def pieces(chat, caller):
    async with aclosing(await gateway.stream(chat, caller)) as stream:
        async for batch in stream:
            for chunk in batch:
                for choice in chunk["choices"]:
                    yield choice["delta"].get("content") or ""
