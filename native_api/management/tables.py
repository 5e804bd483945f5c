"""Tables for terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Lines with columns as wide as their widest cell. Characters that a terminal would interpret
    are replaced by spaces."""
    cells = [
        ["".join(letter if letter.isprintable() else " " for letter in cell) for cell in row]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
