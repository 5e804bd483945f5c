"""Writes docs/translation.md from the losses: python -m scripts.translation_page"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from native_api.inbound.losses import EVERY_WIRE, LOSSES, Loss

PAGE = Path(__file__).resolve().parent.parent / "docs" / "translation.md"

APIS = {"openai_responses": "Responses", "anthropic": "Messages"}
"""The wire that clients speak -> their API."""

INTRODUCTION = """# What is lost in translation

<!-- Made by `python -m scripts.translation_page`. -->

If a provider speaks its client's API, requests and replies go on as they were written. Otherwise
they are translated through the [unified format](messages.md). Fields of a request that a wire
cannot express are in the tables of [providers](providers.md#fields-of-each-dialect).

These tables say which members of a unified reply a client of another API does not get as they are,
and what becomes of them. They are complete: a test compares every recorded reply of every dialect,
complete and streamed, as the official SDK reads it. What a provider needs back on the next turn
(signatures, encrypted reasoning, blocks of its own tools) is never lost: the client carries it,
[sealed](clients.md#reasoning-between-turns).

`*` stands for members that only one vendor has.
"""

HEADER = """
## {api}

| member of the reply | dialects | what becomes of it |
|---|---|---|
"""


def page() -> str:
    """The text of the whole page."""
    return INTRODUCTION + "".join(map(format_api, LOSSES))


def format_api(wire: str) -> str:
    return HEADER.format(api=APIS[wire]) + "".join(map(format_row, LOSSES[wire]))


def format_row(loss: Loss) -> str:
    member, *condition = loss.member.split(" ", 1)
    where = "".join(f" {words}" for words in condition)
    return f"| `{member}`{where} | {', '.join(list_dialects(loss))} | {loss.reason} |\n"


def list_dialects(loss: Loss) -> Iterator[str]:
    if loss.wires == EVERY_WIRE:
        yield "all"
    else:
        yield from (f"`{wire}`" for wire in sorted(loss.wires))


if __name__ == "__main__":
    PAGE.write_text(page())
