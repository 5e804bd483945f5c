"""Check what a client sent, and answer it. For synchronous code, such as a view or a task."""

from native_api import gateway
from native_api.inbound import ChatCompletionSerializer
from native_api.types import Caller


def answer(data, user):
    chat, _ = ChatCompletionSerializer().check(data)
    caller = Caller(user_id=user.pk, user_name=user.get_username())
    reply = gateway.complete_sync(chat, caller)
    return reply.completion["choices"][0]["message"]["content"]
