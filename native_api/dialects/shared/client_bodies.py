"""A client's own body on its way to a provider that speaks the same wire: what both Responses and
Messages take out of it, or check.

Members that nobody here knows go on. So the tables list all that is known to decide about access,
price, state or addresses at some server of the wire. They lack what the unified request has too:
the gateway has read and checked that in the client's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from native_api.dialects.shared.gateway_owned import (
    ANTHROPIC,
    MAX_NAME_LENGTH,
    OPENAI_RESPONSES,
    OwnedMembers,
    normalize_name,
)
from native_api.dialects.shared.request_fields import is_hint, is_model_default
from native_api.exceptions import UnsupportedField
from native_api.types import Json

GATEWAY_FIELDS: Final = frozenset({"provider_options", "fallbacks", "conversation_id", "tier"})
"""The gateway's own fields, which no provider has."""

Path = tuple[str, ...]


class ClientMembers(NamedTuple):
    """What the gateway owns in a client's body of one wire."""

    owned: OwnedMembers
    spellings: Mapping[str, str]
    """Normalized name -> the only spelling of a field that the gateway has read. A server that
    takes another one for it as well would do what nobody has checked."""


def _build_client_members(wire: OwnedMembers, own_words: frozenset[str]) -> ClientMembers:
    members = {**wire, "extra_body": "access", "inference_geo": "price"}
    return ClientMembers(
        OwnedMembers(
            {path: kind for path, kind in members.items() if path not in own_words},
            server_tools=True,
        ),
        {normalize_name(name): name for name in (*own_words, "provider_options")},
    )


RESPONSES_CLIENTS: Final = _build_client_members(
    OPENAI_RESPONSES,
    frozenset({"model", "stream", "stream_options", "max_output_tokens", "service_tier", "store"}),
)
MESSAGES_CLIENTS: Final = _build_client_members(
    ANTHROPIC,
    frozenset({"model", "stream", "max_tokens", "service_tier", "speed", "betas"}),
)


def copy_fields(body: Json, model: str) -> Json:
    """The fields for the provider, in the client's order, with the target's model."""
    fields = {name: value for name, value in body.items() if name not in GATEWAY_FIELDS}
    fields["model"] = model
    return fields


def check_owned(fields: Json, members: ClientMembers, own_account: bool) -> None:
    """Raise UnsupportedField for what the gateway owns. A field that is null or false asks for
    nothing."""
    written = {
        name: value for name, value in fields.items() if value is not None and value is not False
    }
    for name in written:
        known = members.spellings.get(normalize_name(name), name)
        if name != known:
            raise UnsupportedField(name[:MAX_NAME_LENGTH], f"write it as {known!r}")
    members.owned.check_options(written, "", own_account)


def find_member(body: Mapping[str, Any], path: Path) -> Any:
    """The member at this path; None if there is none."""
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def put_member(body: Json, path: Path, value: Any) -> None:
    """Set the member at this path. The objects around it are copied, because they are the
    client's."""
    *parents, last = path
    for name in parents:
        present = body.get(name)
        body[name] = dict(present) if isinstance(present, Mapping) else {}
        body = body[name]
    body[last] = value


def remove_member(body: Json, path: Path) -> None:
    """Remove the member at this path, and objects that are empty then."""
    name, rest = path[0], path[1:]
    if not rest:
        body.pop(name, None)
        return
    inner = dict(body.get(name) or {})
    remove_member(inner, rest)
    if inner:
        body[name] = inner
    else:
        body.pop(name, None)


def replace_member(body: Json, path: Path, value: Any, omitted: list[str]) -> None:
    """Give the member at this path another value than the client's, or leave it out if that is
    empty, and report it."""
    omitted.append(".".join(path))
    if value:
        put_member(body, path, value)
    else:
        remove_member(body, path)


def leave_out_unsupported(
    body: Json, unsupported: Iterable[str], paths: Mapping[str, Path], omitted: list[str]
) -> None:
    """Leave out the fields that a target does not take; `paths` says where the wire has a unified
    field.

    Raises UnsupportedField for one whose loss would change the answer's meaning.
    """
    for name in sorted(unsupported):
        path = paths.get(name)
        if path is None or (value := find_member(body, path)) in (None, [], {}):
            continue
        if not is_hint(name):
            raise UnsupportedField(".".join(path), "this provider, or its model, does not take it")
        remove_member(body, path)
        if not is_model_default(name, value):
            omitted.append(".".join(path))


def rename_roles(body: Json, member: str, roles: Mapping[str, str]) -> None:
    """Give the items of `member` the roles that the model takes."""
    items = body.get(member)
    if roles and isinstance(items, list):
        body[member] = [
            {**item, "role": roles[item["role"]]}
            if isinstance(item, dict) and item.get("role") in roles
            else item
            for item in items
        ]
