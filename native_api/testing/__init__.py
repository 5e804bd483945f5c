"""For a site's own tests: a scripted provider in the place of all providers, the calls it got, and
factories. Nothing leaves the process. See docs/testing.md."""

from __future__ import annotations

from native_api.testing.answers import (
    DEFAULT_REPLY,
    Failure,
    Reply,
    completion,
    embeddings,
    tool_call,
)
from native_api.testing.calls import Attempt, Call
from native_api.testing.context import ScriptedProviderMixin, scripted_provider
from native_api.testing.factories import (
    chat,
    client,
    create_key,
    create_provider,
    create_route,
    create_user,
)
from native_api.testing.scripted_provider import ScriptedProvider

__all__ = [
    "DEFAULT_REPLY",
    "Attempt",
    "Call",
    "Failure",
    "Reply",
    "ScriptedProvider",
    "ScriptedProviderMixin",
    "chat",
    "client",
    "completion",
    "create_key",
    "create_provider",
    "create_route",
    "create_user",
    "embeddings",
    "scripted_provider",
    "tool_call",
]
