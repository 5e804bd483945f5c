"""The turns of a conversation in the form that Bedrock's models accept. Rules:

1. Tool results come first in the user's turn.
2. A document needs a text with words in the same turn. So does a turn that says nothing.
3. Some makers' models refuse tool results and some other blocks in one turn, and some refuse a
   conversation that the assistant begins. A turn of one full stop is inserted there, and nowhere
   else. What each accepts was tried for https://github.com/pydantic/pydantic-ai/pull/6098
   (2026-06): Claude takes text, images and PDF files beside results (recorded with Sonnet 4.5), but
   no other documents and no videos; Llama and Mistral take nothing beside them, Nova everything.
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.bedrock.models import RESULTS_ALONE_MAKERS, USER_FIRST_MAKERS
from native_api.dialects.shared.parts import FILLER_TEXT, is_blank
from native_api.types import Json

DOCUMENT_TEXT: Final = "See the attached document."
"""The text of a turn that has documents and no words."""
SEPARATOR: Final[Json] = {"text": "\n"}
"""What stands between a document and its cache point."""


def arrange_turns(turns: list[Json], maker: str) -> list[Json]:
    """The turns as the models of this maker accept them."""
    arranged = [new_turn for turn in turns for new_turn in _arrange_turn(turn, maker)]
    if arranged and arranged[0]["role"] == "assistant" and maker in USER_FIRST_MAKERS:
        arranged.insert(0, _build_turn("user", [{"text": FILLER_TEXT}]))
    return arranged


def _arrange_turn(turn: Json, maker: str) -> list[Json]:
    """One turn, or the turns that replace it."""
    if turn["role"] != "user":
        return [turn]
    results: list[Json] = []
    others: list[Json] = []
    for index, block in enumerate(turn["content"]):
        (results if _is_result(turn["content"], index) else others).append(block)
    others = _add_document_text(others)
    if results and others and _must_separate(others, maker):
        return [
            _build_turn("user", results),
            _build_turn("assistant", [{"text": FILLER_TEXT}]),
            _build_turn("user", others),
        ]
    return [_build_turn("user", results + others or [{"text": FILLER_TEXT}])]


def _build_turn(role: str, content: list[Json]) -> Json:
    return {"role": role, "content": content}


def _is_result(blocks: list[Json], index: int) -> bool:
    """Whether a block is a tool result, or the cache point after one."""
    if "cachePoint" in blocks[index]:
        return index > 0 and "toolResult" in blocks[index - 1]
    return "toolResult" in blocks[index]


def _add_document_text(blocks: list[Json]) -> list[Json]:
    has_document = any("document" in block for block in blocks)
    if not has_document or any(not is_blank(block.get("text")) for block in blocks):
        return blocks
    if SEPARATOR not in blocks:
        return [{"text": DOCUMENT_TEXT}, *blocks]
    place = blocks.index(SEPARATOR)
    return [*blocks[:place], {"text": DOCUMENT_TEXT}, *blocks[place + 1 :]]


def _must_separate(others: list[Json], maker: str) -> bool:
    """Whether these blocks may not stand in one turn with tool results."""
    return maker in RESULTS_ALONE_MAKERS or (
        maker == "anthropic" and any(_is_refused_by_claude(block) for block in others)
    )


def _is_refused_by_claude(block: Json) -> bool:
    """Whether Claude refuses this block beside the results of tools."""
    return "video" in block or block.get("document", {}).get("format", "pdf") != "pdf"
