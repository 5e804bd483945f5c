"""The items of `input` as unified messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from native_api.dialects.openai_responses.state import STATE_WAY_ROUND
from native_api.inbound.openai.responses.items import INPUT_ITEM, REFERENCE
from native_api.inbound.openai.responses.opened import ENCRYPTED
from native_api.inbound.openai.responses.unify_calls import (
    ALL_RESULTS,
    FUNCTION_NAMES,
    build_result,
    is_hosted,
)
from native_api.inbound.openai.responses.unify_parts import refuse_kind, unify_content
from native_api.inbound.openai.responses.unify_tools import UnifiedTools
from native_api.inbound.openai.responses.unify_turns import Turn, find_origin
from native_api.inbound.translation import Report
from native_api.types import Json

MODEL_ITEMS: Final = FUNCTION_NAMES.keys() | {"reasoning", "function_call", "custom_tool_call"}
"""Items that the model has written."""

SETTINGS: Final = frozenset({"additional_tools", "configuration_update"})
"""Items that are no part of the conversation. `unify_tools` and `unify` read them."""


class Conversation:
    """Collects the messages of one request."""

    def __init__(self, tools: Any, names: UnifiedTools, report: Report) -> None:
        self.messages: list[Json] = []
        self.places: list[str] = []
        """Where each message stands in the request, or begins."""
        self._tools, self._names, self._report = tools, names, report
        self._turn: Turn | None = None
        self._turn_place = ""
        self._results: list[tuple[Json, str]] = []
        """The results that came after the turn, each with its place."""

    def add(self, items: list[Json], path: str) -> None:
        """Add all items. Raises FieldError."""
        for index, item in enumerate(items):
            self._add_item(item, f"{path}[{index}]")
        self._end_turn()

    def _add_item(self, item: Json, path: str) -> None:
        kind = INPUT_ITEM.find_kind(item, path)
        if item.get("type") is None:
            item = {**item, "type": kind}
        if _is_models(item):
            self._add_to_turn(item, path)
        elif kind in ALL_RESULTS:
            self._results.append((build_result(item, path, self._report), path))
            if self._turn is None:
                self._end_turn()
        elif kind not in SETTINGS:
            self._end_turn()
            ADDERS.get(kind, Conversation._refuse)(self, item, path)

    def _add_to_turn(self, item: Json, path: str) -> None:
        """Add an item of the model to the message that it belongs to. Some clients write each
        result behind its call, between the items of one reply."""
        origin = find_origin(item)
        if self._turn is not None and self._turn.is_over(origin, bool(self._results)):
            self._end_turn()
        if self._turn is None:
            self._turn, self._turn_place = Turn(self._tools, self._names), path
        self._turn.add(item, origin)

    def _end_turn(self) -> None:
        message = self._turn.build(self._report) if self._turn is not None else None
        if message is not None:
            self.add_message(message, self._turn_place)
        for result, place in self._results:
            self.add_message(result, place)
        self._turn, self._results = None, []

    def add_message(self, message: Json, place: str) -> None:
        self.messages.append(message)
        self.places.append(place)

    # --- items of the client ---------------------------------------------------------------------

    def _add_message(self, item: Json, path: str) -> None:
        role = item["role"]
        content = unify_content(item["content"], f"{path}.content", self._report, role != "user")
        self.add_message({"role": role, "content": content}, path)

    def _add_approval(self, item: Json, path: str) -> None:
        self._report.omit(f"input.{item['type']}")

    def _add_compaction(self, item: Json, path: str) -> None:
        if item.get(ENCRYPTED):
            self._report.refuse(
                path,
                "only the provider that has written this compaction can read it; send the items "
                "that it stands for",
            )

    def _refuse_reference(self, item: Json, path: str) -> None:
        self._report.refuse(path, STATE_WAY_ROUND)

    def _refuse(self, item: Json, path: str) -> None:
        refuse_kind(self._report, path, item["type"])


def _is_models(item: Json) -> bool:
    if item["type"] == "message":
        return bool(item["role"] == "assistant")
    return item["type"] in MODEL_ITEMS or is_hosted(item)


Adder = Callable[[Conversation, Json, str], None]
ADDERS: Final[Mapping[str, Adder]] = {
    "message": Conversation._add_message,
    "mcp_approval_response": Conversation._add_approval,
    "compaction": Conversation._add_compaction,
    REFERENCE: Conversation._refuse_reference,
}
"""Type of an item -> what adds it."""
