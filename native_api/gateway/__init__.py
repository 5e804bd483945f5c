"""Calls of models: the one entry for views, tasks and any Python code of a site. See `calls`."""

from native_api.gateway.calls import (
    CallStream,
    EmbedReply,
    Reply,
    complete,
    complete_sync,
    embed,
    embed_sync,
    stream,
)

__all__ = [
    "CallStream",
    "EmbedReply",
    "Reply",
    "complete",
    "complete_sync",
    "embed",
    "embed_sync",
    "stream",
]
