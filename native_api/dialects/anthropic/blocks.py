"""One block of an Anthropic reply while it is read, and the annotation of a citation."""

from __future__ import annotations

from typing import Any

from native_api.dialects.shared.annotations import build_citation
from native_api.dialects.shared.call_arguments import CallArguments
from native_api.dialects.shared.json_values import parse_json
from native_api.types import Json


class Block:
    """A block as far as it has come.

    `offsets` are where it stands in the reply (see `shared.replay`), `start` is where its text
    begins, `item_index` that of its reasoning item or tool call, `input_json` the pieces of its
    `input`, and `arguments` those of a call of the client's tools.
    """

    __slots__ = (
        "arguments", "citations", "input_json", "item_index", "members", "offsets", "start", "type",
    )  # fmt: skip

    def __init__(self, members: Json, offsets: Json, start: int) -> None:
        self.members = dict(members)
        self.type = members.get("type") if isinstance(members.get("type"), str) else ""
        self.offsets = offsets
        self.start = start
        self.item_index: int | None = None
        self.arguments = CallArguments()
        self.input_json = ""
        self.citations: list[Any] = (
            [*(members.get("citations") or ())] if self.type == "text" else []
        )

    def merge(self, piece: Json) -> None:
        """Add a piece of a block that has no unified form: text is appended to text, any other
        value replaces the earlier one."""
        for name, value in piece.items():
            present = self.members.get(name)
            if name != "type" and value is not None:
                self.members[name] = (
                    present + value
                    if isinstance(present, str) and isinstance(value, str)
                    else value
                )

    def build_partial(self) -> Json:
        """The block so far, its input as text."""
        return {**self.members, "input": self.input_json} if self.input_json else self.members

    def build(self) -> Json:
        """The whole block, its input as a value."""
        if self.input_json:
            self.members["input"] = parse_json(self.input_json)
        return self.members


def build_annotation(citation: Any, start: int, end: int) -> Json | None:
    """A citation as OpenAI's `url_citation`, the only kind that strict clients accept. The URL is
    empty if the source has none."""
    if not isinstance(citation, dict):
        return None
    source = read_string(citation.get("source"))
    url = read_string(citation.get("url")) or (
        source if source.startswith(("http://", "https://")) else ""
    )
    title = (
        read_string(citation.get("title")) or read_string(citation.get("document_title")) or source
    )
    members = {"url": url, "title": title}
    if citation.get("cited_text"):
        members["cited_text"] = citation["cited_text"]
    return build_citation(members, start, end)


def read_string(value: Any) -> str:
    """The value if it is a string, else an empty string."""
    return value if isinstance(value, str) else ""
