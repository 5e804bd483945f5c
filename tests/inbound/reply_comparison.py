"""Compares what a client of another API was given with the unified reply it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from native_api.inbound.losses import find_losses
from native_api.types import ChatCompletion
from native_api.types.chat import Choice


def check_losses(client_wire: str, wire: str, reply: Any, arrived: Any) -> None:
    """Fail if `arrived`, in the shape of a unified reply, says less, more or something else, but
    for the losses that are listed for these two wires."""
    listed = [loss.member for loss in find_losses(client_wire, wire)]
    unlisted = {
        path
        for path in find_differences(reply, arrived)
        if not any(is_listed(path, member) for member in listed)
    }
    assert not unlisted, unlisted


def is_listed(path: str, member: str) -> bool:
    if member.endswith("*"):
        parent, _, name = path.rpartition(".")
        known = UNIFIED_MEMBERS[member.removesuffix("*")]
        return member == (f"{parent}.*" if parent else "*") and name not in known
    return path == member or path.startswith(f"{member}.")


UNIFIED_MEMBERS = {
    # Perplexity's `citations` are annotations as well.
    "": ChatCompletion.__annotations__.keys() - {"citations"},
    "choices.": Choice.__annotations__.keys(),
    "choices.message.annotations.url_citation.": {"url", "title", "cited_text"},
    "choices.logprobs.content.": {"token", "logprob", "bytes", "top_logprobs"},
}
"""Where members of a vendor's own may be, and what a unified reply has there."""


def find_differences(reply: Any, arrived: Any, path: str = "") -> Iterator[str]:
    """The paths, without indexes, whose values are not the same."""
    if says_nothing(reply) and says_nothing(arrived):
        return
    if isinstance(reply, dict) and isinstance(arrived, dict):
        for name in reply.keys() | arrived.keys():
            place = f"{path}.{name}" if path else name
            yield from find_differences(reply.get(name), arrived.get(name), place)
    elif isinstance(reply, list) and isinstance(arrived, list) and len(reply) == len(arrived):
        for one, other in zip(reply, arrived, strict=True):
            yield from find_differences(one, other, path)
    elif reply != arrived:
        yield path


def says_nothing(value: Any) -> bool:
    """Whether a value is empty, or zero, or has only such members."""
    if isinstance(value, dict):
        return all(map(says_nothing, value.values()))
    return not value
