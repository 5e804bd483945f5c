"""Who issued what a provider signed, encrypted or stored: marks it in replies, and keeps it from
other providers in requests.

A signature is valid only where it was made: Claude's endpoint refuses MiniMax's, the Gemini API
those of Vertex AI, and Azure cannot decrypt the reasoning of OpenAI (they answer 400, and so does
any later turn). So the items of `reasoning_details` and `provider_content`, and the objects of
`extra_content`, name their issuer in `issued_by` (`Dialect.issuer`). Rules:

1. In the streamed form the mark comes once for each item, because clients join the texts of pieces.
2. A request has of the model's messages only what its target's issuer made, without the marks.
3. An item without a mark, of a format that dialects write, is of an unknown issuer and left out. If
   it has a format of the vendor's own, it is as the client wrote it, and stays.
4. An empty signature is none. Clients without a field for its absence send it.
5. What belongs to the client's own tools (`PORTABLE_MEMBERS`) stays for every provider.

Sources: BerriAI/litellm#32140 and openai/codex#3573 (reports of such errors), and
https://platform.claude.com/docs/en/build-with-claude/preserved-thinking (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_not
from typing import Any, Final

from native_api.types import Json

MARK: Final = "issued_by"
RESTORED: Final = "restored"
"""The member of a client's block or item, beside MARK, with what a provider of another wire needs
back (`inbound.sealed`)."""
OWN_MEMBERS: Final = frozenset({MARK, RESTORED})
"""Members of a client's blocks and items that nobody but the gateway writes."""

LISTS: Final = ("reasoning_details", "provider_content")
"""Members of a message whose items have the mark."""
EXTRA_LISTS: Final = ("tool_calls", "images")
"""Members of a message whose items may have `extra_content`, with the mark in its objects."""
MARKED_MEMBERS: Final = frozenset({*LISTS, *EXTRA_LISTS})

PORTABLE_MEMBERS: Final = frozenset({"namespace"})
"""Members of an `extra_content` object that the client's own tools have."""

NATIVE_FORMATS: Final = frozenset(
    {"anthropic", "bedrock", "cohere", "gemini", "ollama", "openai_responses"}
)
"""Values of `format` that dialects write into `reasoning_details`. Any other is a vendor's own
(OpenRouter, MiniMax)."""


def has_extra(items: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any call or image of a message has `extra_content`."""
    for item in items:  # noqa: SIM110 - every piece of a stream is asked this
        if "extra_content" in item:
            return True
    return False


class IssuerMarker:
    """Marks what one reply contains."""

    __slots__ = ("_issuer", "_marked")

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._marked: set[tuple[Any, ...]] = set()
        """Choice, list, index and vendor of what is marked."""

    def mark_choice(self, choice: Any) -> bool:
        """Mark the items that begin in a chunk's choice. Returns whether there are any."""
        return self._mark_message(choice["delta"], choice["index"])

    def mark_reply(self, reply: Any) -> Any:
        """The complete reply with marks; itself if there is nothing to mark."""
        if all(MARKED_MEMBERS.isdisjoint(choice["message"]) for choice in reply["choices"]):
            return reply
        choices = [
            {**choice, "message": dict(choice["message"])} if "message" in choice else choice
            for choice in reply["choices"]
        ]
        for choice in choices:
            self._mark_message(choice["message"], choice["index"])
        return {**reply, "choices": choices}

    def _mark_message(self, message: Json, choice: Any) -> bool:
        is_marked = False
        for name in MARKED_MEMBERS & message.keys():
            items = message[name]
            if not items or (name in EXTRA_LISTS and not has_extra(items)):
                continue
            mark = self._mark_item if name in LISTS else self._mark_extra
            marked = [mark((choice, name), item) for item in items]
            if any(map(is_not, marked, items)):
                message[name], is_marked = marked, True
        return is_marked

    def _mark_item(self, place: tuple[Any, ...], item: Json) -> Json:
        return self._mark((*place, item.get("index")), item)

    def _mark_extra(self, place: tuple[Any, ...], item: Json) -> Json:
        extra = item.get("extra_content")
        if not extra:
            return item
        index = item.get("index")
        marked = {
            vendor: self._mark((*place, vendor, index), members)
            for vendor, members in extra.items()
            if isinstance(members, dict)
        }
        if all(members is extra[vendor] for vendor, members in marked.items()):
            return item
        return {**item, "extra_content": {**extra, **marked}}

    def _mark(self, place: tuple[Any, ...], members: Json) -> Json:
        """The members with the mark, unless an earlier piece of the same item has it. The last
        member of `place` is the item's index, if it has one."""
        if place in self._marked:
            return members
        if place[-1] is not None:
            self._marked.add(place)
        return {**members, MARK: self._issuer}


class IssuerFilter:
    """Keeps of the model's messages what one issuer made.

    `formats` are those that only dialects write, `keeps_unmarked` says whether `extra_content`
    without a mark is the client's own. `omitted` gets the paths of what is left out.
    """

    __slots__ = ("_formats", "_issuer", "_keeps_unmarked", "_omitted")

    def __init__(
        self, issuer: str, own_format: str, keeps_unmarked: bool, omitted: list[str]
    ) -> None:
        self._issuer = issuer
        self._formats = NATIVE_FORMATS | {own_format}
        self._keeps_unmarked = keeps_unmarked
        self._omitted = omitted

    def filter_message(self, message: Any) -> Any:
        """The message as its target gets it; itself if it says nothing of an issuer."""
        kept: Json = {}
        for name in LISTS:
            items = message.get(name)
            if items:
                kept[name] = self._filter_items(name, items)
        for name in EXTRA_LISTS:
            items = message.get(name)
            if items and has_extra(items):
                kept[name] = [self._filter_extra(name, item) for item in items]
        if not kept:
            return message
        empty = [name for name, items in kept.items() if not items]
        edited = {**message, **kept}
        for name in empty:
            del edited[name]
        return edited

    def _filter_items(self, name: str, items: list[Json]) -> list[Json]:
        own = [item for item in items if self._is_own(name, item)]
        if len(own) < len(items):
            self._omitted.append(f"messages.{name}")
        return [_clean(item) for item in own if not _is_empty(item)]

    def _is_own(self, name: str, item: Json) -> bool:
        issuer = item.get(MARK)
        if issuer is not None:
            return bool(issuer == self._issuer)
        return name == "reasoning_details" and item.get("format") not in self._formats

    def _filter_extra(self, name: str, item: Json) -> Json:
        if "extra_content" not in item:
            return item
        extra = item["extra_content"] or {}
        kept = {vendor: self._filter_vendor(name, extra[vendor]) for vendor in extra}
        kept = {vendor: members for vendor, members in kept.items() if members}
        rest = {member: value for member, value in item.items() if member != "extra_content"}
        return {**rest, "extra_content": kept} if kept else rest

    def _filter_vendor(self, name: str, members: Any) -> Any:
        """What stays of one vendor's object."""
        if not isinstance(members, dict):
            return members if self._keeps_unmarked else None
        issuer = members.get(MARK)
        if issuer == self._issuer or (issuer is None and self._keeps_unmarked):
            return _clean(members)
        kept = {member: members[member] for member in PORTABLE_MEMBERS & members.keys()}
        if any(members[member] for member in members.keys() - kept.keys() - {MARK}):
            self._omitted.append(f"messages.{name}.extra_content")
        return kept


SIGNATURES: Final = frozenset({"signature", "thought_signature"})


def _clean(members: Mapping[str, Any]) -> Json:
    """A copy without the mark and empty signatures."""
    return {
        name: value
        for name, value in members.items()
        if name != MARK and (value != "" or name not in SIGNATURES)
    }


def _is_empty(item: Mapping[str, Any]) -> bool:
    """Whether an item is only an encrypted form that is empty."""
    return item.get("type") == "reasoning.encrypted" and not item.get("data")
