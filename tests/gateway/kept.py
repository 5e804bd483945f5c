"""Responses to keep, and their callers, for the tests of kept responses."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from django.contrib.auth.models import User

from native_api.access.keys import create_key
from native_api.gateway import kept_responses
from native_api.types import Caller, Json

T = TypeVar("T")

SECRET_WORDS = "the moon is made of cheese"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def make_user(name: str) -> Caller:
    return Caller(user_id=User.objects.create(username=name).pk, user_name=name)


def make_key_alone(name: str) -> Caller:
    """A caller with a key and without a user, as a function of CALLER may return."""
    owner, _ = User.objects.get_or_create(username="owner of keys")
    key, _text = create_key(owner, name)
    return Caller(key_id=key.pk, key_name=name)


def says(text: str, identity: str = "msg_1") -> Json:
    """An output item."""
    content = {"type": "output_text", "text": text, "annotations": []}
    return {
        "id": identity,
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [content],
    }


def asks(text: str) -> Json:
    """An input item."""
    return {"role": "user", "content": text}


def response(identity: str, *output: Json, **rest: Any) -> Json:
    return {
        "id": identity,
        "object": "response",
        "created_at": 1764500000,
        "status": "completed",
        "model": "gpt-5",
        "output": list(output),
        "store": True,
        **rest,
    }


def keep(
    caller: Caller, identity: str, question: str, answer: str, previous: str | None = None
) -> bool:
    """Keep a turn of this question and this answer, whose item has the response's number."""
    message = says(answer, identity.replace("resp_", "msg_"))
    return run(kept_responses.keep(caller, response(identity, message), [asks(question)], previous))


def texts(items: list[Json]) -> list[str]:
    return [
        item["content"] if isinstance(item["content"], str) else item["content"][0]["text"]
        for item in items
    ]


def load(caller: Caller, identity: str) -> list[str]:
    """The texts of the conversation that ends with this response."""
    return texts(run(kept_responses.load_history(caller, identity)).items)


def set_responses(settings: Any, **members: Any) -> None:
    """A site that keeps responses, unless STORE says otherwise."""
    settings.NATIVE_API = {**settings.NATIVE_API, "RESPONSES": {"STORE": True, **members}}
