"""Draws the rooms of `native_api` and their imports into ARCHITECTURE.md, between its two marks.

    python -m scripts.architecture

A room is a package, or a module, directly in `native_api`. An arrow means "imports". Arrows that
follow from others (a -> c, if a -> b -> c) are left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "native_api"
PAGE: Final = ROOT / "ARCHITECTURE.md"
BEGIN: Final = "<!-- begin: made by scripts/architecture.py -->\n"
END: Final = "<!-- end -->\n"

FOUNDATION: Final = frozenset(
    {"bounded_cache", "conf", "exceptions", "forks", "logs", "signals", "types"}
)
"""Rooms that nearly all others import. They are in the table but not in the picture."""


def rooms() -> dict[str, list[Path]]:
    """Room -> its modules."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room not in ("__init__", "migrations"):
            found.setdefault(room, []).append(path)
    return found


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("native_api"):
            for name in node.names:
                yield f"{node.module}.{name.name}".split(".")[1]


def imports() -> dict[str, set[str]]:
    """Room -> the rooms that it imports."""
    found = rooms()
    return {
        room: {name for path in paths for name in imported_rooms(path)} & found.keys() - {room}
        for room, paths in found.items()
    }


def reachable(room: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Every room that `room` imports, directly or through others."""
    seen: set[str] = set()
    pending = list(graph[room])
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending += graph[name]
    return seen


def reduced(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The graph without arrows that follow from others. It has no circles, as a test makes sure."""
    return {
        room: {
            name
            for name in names
            if not any(name in reachable(other, graph) for other in names - {name})
        }
        for room, names in graph.items()
    }


def picture() -> str:
    graph = {
        room: names - FOUNDATION for room, names in imports().items() if room not in FOUNDATION
    }
    arrows = [
        f"    {room} --> {name}"
        for room, names in sorted(reduced(graph).items())
        for name in sorted(names)
    ]
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```", ""])


def summary(path: Path) -> str:
    """The first paragraph of a module's docstring, on one line."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


def table() -> str:
    lines = ["| room | what belongs there |", "|---|---|"]
    for room in sorted(rooms()):
        package = PACKAGE / room / "__init__.py"
        path = package if package.exists() else PACKAGE / f"{room}.py"
        name = f"`{room}/`" if package.exists() else f"`{room}.py`"
        lines.append(f"| {name} | {summary(path)} |")
    return "\n".join([*lines, ""])


def page(text: str) -> str:
    """The page with its drawn part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{picture()}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
