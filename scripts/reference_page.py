"""Writes docs/reference.md from `reference_groups`, the `__all__` and docstrings of the public
modules, and docs/examples: python -m scripts.reference_page"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill
from typing import Final

from native_api import exceptions
from scripts.public_names import (
    ROOT,
    PublicName,
    find_class,
    names_in,
    parse_module,
    read_constructor,
    read_members,
    read_name,
)
from scripts.reference_groups import FREE_OF_SETTINGS, GROUPS, SETTINGS, Group

PAGE: Final = ROOT / "docs" / "reference.md"
EXAMPLES: Final = ROOT / "docs" / "examples"
COMMANDS: Final = ROOT / "native_api" / "management" / "commands"


INTRODUCTION: Final = """# Reference

<!-- Made by `python -m scripts.reference_page`. -->

Everything that a site may import, subclass, override or plug in. All else is private and may change
in any release: other modules, other names of these modules, and names that begin with `_`.

Names are imported from the module under which they are listed. Every example on this page runs in
the tests of the project.

"""

SETTINGS_TEXT: Final = """
## Settings that take dotted paths

Members of `NATIVE_API`; see [settings](settings.md). A path that cannot be imported, or that leads
to something else, is an error of `manage.py check`.

| setting | what the paths lead to |
|---|---|
"""

COMMANDS_TEXT: Final = """
## Management commands

From Python with Django's `call_command`.

| command | what it does |
|---|---|
"""


def page() -> str:
    return "".join(
        [
            INTRODUCTION,
            format_free_of_settings(),
            *(f"- [{title}](#{anchor(title)})\n" for title in titles()),
            *map(format_group, GROUPS),
            SETTINGS_TEXT,
            *(format_setting(name, *row) for name, row in sorted(SETTINGS.items())),
            COMMANDS_TEXT,
            *map(format_command, sorted(COMMANDS.glob("native_*.py"))),
            format_example(EXAMPLES / "commands.py"),
        ]
    )


def format_free_of_settings() -> str:
    *first, last = (f"`{module}`" for module in FREE_OF_SETTINGS)
    text = (
        f"{', '.join(first)} and {last} can be imported anywhere, also in a module of settings. "
        "The other modules are imported once Django's apps are ready, as models are."
    )
    return f"{fill(text, 100)}\n\n"


def titles() -> list[str]:
    return [
        *(group.title for group in GROUPS),
        "Settings that take dotted paths",
        "Management commands",
    ]


def anchor(title: str) -> str:
    """The id that GitHub gives a heading."""
    kept = (letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")


def format_group(group: Group) -> str:
    guides = ", ".join(f"[{text}]({target})" for text, target in group.guides)
    return "".join(
        [
            f"\n## {group.title}\n",
            f"\n{fill(group.text, 100)}\n" if group.text else "",
            f"\nGuide: {guides}.\n" if guides else "",
            *map(format_module, group.modules),
            *map(format_class, group.detailed),
            *(format_example(EXAMPLES / name) for name in group.examples),
        ]
    )


def format_module(module: str) -> str:
    if module == "native_api.exceptions":
        return format_exceptions()
    names = (read_name(module, name) for name in names_in(module))
    table = format_table(f"`{module}`", map(format_name, names))
    return table + format_urls() if module == "native_api.urls" else table


def format_table(head: str, rows: Iterator[tuple[str, str]]) -> str:
    lines = (f"| `{name}` | {text} |\n" for name, text in rows)
    return f"\n| {head} | |\n|---|---|\n{''.join(lines)}"


def format_name(name: PublicName) -> tuple[str, str]:
    return name.signature, name.summary.replace("|", "\\|")


def format_class(path: str) -> str:
    module, _, name = path.rpartition(".")
    rows = map(format_name, read_members(module, name))
    return format_table(f"members of `{name}`", rows)


def format_exceptions() -> str:
    """The errors that are answered, with their status, and those that are only raised."""
    module = "native_api.exceptions"
    names = [read_name(module, name) for name in names_in(module)]
    errors = [each for each in names if issubclass(error_class(each), exceptions.NativeError)]
    others = (each for each in names if each not in errors)
    head = f"\n| `{module}` | status | type | code | |\n|---|---|---|---|---|\n"
    return (
        head
        + "".join(map(format_error, errors))
        + format_table("for operators, never answered", map(format_name, others))
        + format_constructors(names)
    )


def format_constructors(names: Iterable[PublicName]) -> str:
    """How the errors are made: each way once, with those that are made so too."""
    users: dict[str, list[str]] = {}
    for name in names:
        owner = next(base for base in error_class(name).__mro__ if "__init__" in vars(base))
        users.setdefault(owner.__name__, []).append(name.name)
    rows = (
        (read_constructor("native_api.exceptions", owner), format_users(owner, made_so))
        for owner, made_so in sorted(users.items())
    )
    return format_table("how to make one", rows)


def format_users(owner: str, names: list[str]) -> str:
    others = ", ".join(f"`{name}`" for name in names if name != owner)
    return f"Also {others}." if others else ""


def error_class(name: PublicName) -> type[Exception]:
    found: type[Exception] = getattr(exceptions, name.name)
    return found


def format_error(name: PublicName) -> str:
    error = error_class(name)
    facts = " | ".join(f"`{getattr(error, fact)}`" for fact in ("status", "type", "code"))
    return f"| `{name.name}` | {facts} | {name.summary} |\n"


def format_urls() -> str:
    """The names of the URLs and their views."""
    rows = (
        (f"native_api:{name}", f"`{path or '…'}`, `{view}`")
        for path, view, name in read_urls("native_api.urls")
    )
    return format_table("name of a URL", rows)


def read_urls(module: str) -> Iterator[tuple[str, str, str]]:
    """The path, the view and the name of each pattern."""
    for node in ast.walk(parse_module(module)):
        if isinstance(node, ast.Call) and node.keywords and node.keywords[0].arg == "name":
            view = ast.unparse(node.args[1]).removeprefix("views.").removesuffix(".as_view()")
            yield (
                ast.literal_eval(node.args[0]),
                view,
                ast.literal_eval(node.keywords[0].value),
            )


def format_example(path: Path) -> str:
    """The file, with its docstring as text before the code."""
    source = path.read_text()
    docstring = ast.get_docstring(ast.parse(source)) or ""
    code = source.partition('"""\n\n')[2].strip()
    return f"\n{docstring}\n\n```python\n{code}\n```\n"


def format_setting(name: str, what: str, target: str) -> str:
    return f"| `{name}` | [{what}]({target}) |\n"


def format_command(path: Path) -> str:
    command = find_class(f"native_api.management.commands.{path.stem}", "Command")
    text = next(
        ast.literal_eval(node.value)
        for node in command.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "help"
    )
    return f"| `{path.stem}` | {text} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
