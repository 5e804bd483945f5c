"""Makes the unified request of a request in another API's words, and keeps what of it other wires
have no words for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from native_api.dialects.shared.issuers import OWN_MEMBERS
from native_api.dialects.shared.unknown_members import MAX_NAMES, describe_member
from native_api.exceptions import UnsupportedField
from native_api.inbound.shapes import UnknownMember
from native_api.types import ClientBody, Json

NUMBER: Final = re.compile(r"\[\d+\]")


def read_head(body: Mapping[str, Any], fields: Iterable[str], output_limit: str) -> Json:
    """What routing, limits and records read of a request, in the unified request's words: these
    fields, which are the same there, and `output_limit`, the field that bounds the output."""
    head = {name: body[name] for name in fields if body.get(name) is not None}
    head["stream_options"] = {"include_usage": True}
    if body.get(output_limit):
        head["max_completion_tokens"] = body[output_limit]
    return head


def simplify_content(parts: list[Json]) -> str | list[Json]:
    """The unified content of these parts: the text itself if there is nothing else, since some
    servers take nothing else."""
    if not parts:
        return ""
    is_text = len(parts) == 1 and parts[0].keys() == {"type", "text"}
    return str(parts[0]["text"]) if is_text else parts


class Report:
    """Of one request: `omitted` names what is left out, `refused` has an error for each thing on
    which the answer depends. `places` are those of unified messages and tools (`tools[0]`) in the
    request."""

    __slots__ = ("omitted", "places", "refused")

    def __init__(self, omitted: list[str]) -> None:
        self.omitted = omitted
        self.places: dict[str, str] = {}
        self.refused: list[UnsupportedField] = []

    def omit(self, *names: str) -> None:
        self.omitted += names

    def omit_all(self, names: Iterable[str]) -> None:
        self.omitted += names

    def omit_unknown(self, members: Iterable[UnknownMember]) -> None:
        """Report members that nobody here knows, without the numbers of their places."""
        names = [
            describe_member(NUMBER.sub("", member.path), member.name)
            for member in members
            if member.name not in OWN_MEMBERS
        ]
        new = [name for name in dict.fromkeys(names) if name not in self.omitted]
        self.omitted += new[:MAX_NAMES]

    def locate(self, field: str, places: Iterable[str]) -> None:
        """Keep where the items of a unified list stand in the request."""
        self.places |= {f"{field}[{index}]": place for index, place in enumerate(places)}

    def refuse(self, path: str, reason: str) -> None:
        self.refused.append(UnsupportedField(path, reason))


class Translation:
    """Makes the unified request of one request, with `build`. Another part of the gateway asks for
    it through the `ClientBody`.

    `check` raises for what only the client's own wire can answer. It is apart, since hooks see the
    unified request also of a call that goes to that wire.
    """

    __slots__ = ("_build", "_places", "_refused")

    def __init__(self, build: Callable[[Json, Report], Any]) -> None:
        self._build = build
        self._refused: list[UnsupportedField] = []
        self._places: Mapping[str, str] = {}

    def unify(self, body: Json, omitted: list[str]) -> Any:
        """The unified request of a checked body whose seals are opened. Raises InvalidRequest."""
        report = Report(omitted)
        chat = self._build(body, report)
        self._refused, self._places = report.refused, report.places
        return chat

    def make_client_body(self, wire: str, body: Json, can_lack_search: bool = False) -> ClientBody:
        """The body of this request for targets of its wire, and of all others."""
        return ClientBody(
            wire,
            body,
            self.unify,
            can_lack_search=can_lack_search,
            locate=self.locate,
            check=self.check,
        )

    def locate(self, body: Json) -> Mapping[str, str]:
        """The place of each unified message and tool -> that in the request that was unified."""
        return self._places

    def check(self) -> None:
        """Raise UnsupportedField if no provider of another wire can answer the request that was
        unified."""
        for error in self._refused:
            raise error
