"""A provider's message or event as it goes on to the client, the same but for two edits.

1. What the provider signed is sealed, with the name of who issued it, so that only this caller
   brings it back and only its issuer gets it.
2. The model is the one that was asked for (`reply.build_head`).
"""

from __future__ import annotations

from native_api.dialects.anthropic.forward import SIGNED_MEMBERS
from native_api.dialects.shared.issuers import MARK
from native_api.dialects.shared.json_values import replace_members
from native_api.inbound.base import ParsedRequest, Seal
from native_api.inbound.sealed import find_seal, is_marked, seal_signed
from native_api.types import Json


def seal_message(parsed: ParsedRequest, body: Json) -> Json:
    """A copy of the message with its signatures sealed and the model that was asked for; itself if
    nothing changes."""
    body = replace_model(parsed, body)
    content = body.get("content")
    if not isinstance(content, list) or not any(map(is_marked, content)):
        return body
    seal = find_seal(parsed)
    blocks = [seal_members(block, seal) if is_marked(block) else block for block in content]
    return {**body, "content": blocks}


def replace_model(parsed: ParsedRequest, message: Json) -> Json:
    model = parsed.body.get("model")
    is_same = not model or message.get("model") in (None, model)
    return message if is_same else {**message, "model": model}


def name_model(parsed: ParsedRequest, event: Json) -> Json:
    """A copy of the first event with the model that was asked for; itself if it has that."""
    message = event.get("message")
    if not isinstance(message, dict):
        return event
    return replace_members(event, {"message": replace_model(parsed, message)})


def seal_event(event: Json, seal: Seal) -> Json:
    """A copy of an edited event with its signatures sealed."""
    sealed = {
        name: seal_members(member, seal) for name, member in event.items() if is_marked(member)
    }
    return {**event, **sealed}


def seal_members(members: Json, seal: Seal) -> Json:
    """A block or a piece of one, whose issuer goes into the seal."""
    sealed = {name: value for name, value in members.items() if name != MARK}
    for name in SIGNED_MEMBERS:
        if sealed.get(name):
            sealed[name] = seal_signed(seal, members[MARK], sealed[name])
    return sealed
