"""Writes docs/reference.md, the page of everything that a site may use, from the `__all__` and the
docstrings of the public modules and from docs/examples: python -m scripts.reference_page"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Final, NamedTuple

from native_api import exceptions
from scripts.public_names import (
    ROOT,
    PublicName,
    find_class,
    names_in,
    parse_module,
    read_members,
    read_name,
)

PAGE: Final = ROOT / "docs" / "reference.md"
EXAMPLES: Final = ROOT / "docs" / "examples"
COMMANDS: Final = ROOT / "native_api" / "management" / "commands"


class Group(NamedTuple):
    """One need of a site.

    `guides` are pages that explain it, as link texts and targets. `examples` are files of
    docs/examples. `subclassed` are classes whose own members are listed, since sites override them.
    """

    title: str
    text: str
    modules: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    guides: tuple[tuple[str, str], ...] = ()
    subclassed: tuple[str, ...] = ()


GROUPS: Final = (
    Group(
        "Calling models from Python",
        "The views use the same functions, so routes, limits and records are the same.",
        ("native_api.gateway",),
        ("ask.py", "stream.py", "embed.py"),
        (("Calling models from Python", "extending.md#calling-models-from-python"),),
    ),
    Group(
        "Views",
        "The endpoints, and the base of all of them. Each is a view of Django REST Framework: its "
        "class attributes and methods can be overridden as the guide says, and a site can make "
        "views of its own from `NativeView`. `not_found`, `bad_request` and `server_error` are for "
        "a URLconf's `handler404`, `handler400` and `handler500`.",
        ("native_api.views",),
        ("whoami.py",),
        (("Your own views", "extending.md#your-own-views"),),
        ("native_api.views.NativeView",),
    ),
    Group(
        "Authentication and throttles",
        "Classes of Django REST Framework, which also work in a site's other views. Permission "
        "classes are DRF's own, or the site's.",
        ("native_api.authentication", "native_api.throttling"),
        ("policies.py",),
        (("Your own policies", "extending.md#your-own-policies"),),
    ),
    Group(
        "Whom a call is counted for",
        "A function of the request, named by `CALLER`, that returns a `Caller`; the default is "
        "`native_api.authentication.default_caller`.",
        guides=(("Whom a call is counted for", "extending.md#whom-a-call-is-counted-for"),),
    ),
    Group(
        "Hooks",
        "Classes named by `HOOKS`, whose methods run around every call of a model.",
        ("native_api.hooks",),
        guides=(("Hooks", "extending.md#hooks"),),
        subclassed=("native_api.hooks.CallHooks", "native_api.hooks.Call"),
    ),
    Group(
        "Signals",
        "Django signals, sent after the response.",
        ("native_api.signals", "native_api.usage.entry"),
        guides=(("Signals", "extending.md#signals"),),
    ),
    Group(
        "Exceptions",
        "What the gateway raises, and what a site's views, policies and hooks may raise: a "
        "`NativeError` is answered with its status, type and code in the client's error format.",
        ("native_api.exceptions",),
        ("errors.py",),
    ),
    Group(
        "Models and API keys",
        "The models can be queried, related to and, except for records and totals, written by a "
        "site. Keys are created with the functions, which alone know a key's text.",
        ("native_api.models", "native_api.access.keys"),
        ("spending.py", "keys.py"),
    ),
    Group(
        "Formats of clients",
        "How clients speak. The serializers check a request; a format of your own, on a subclass "
        "of `InferenceView`, makes an endpoint for another API.",
        ("native_api.inbound", "native_api.operations"),
        ("question_api.py",),
        (
            (
                "An API for clients, or a kind of call",
                "extending.md#an-api-for-clients-or-a-kind-of-call",
            ),
        ),
        ("native_api.inbound.InboundFormat", "native_api.inbound.StreamWriter"),
    ),
    Group(
        "Dialects",
        "How providers are spoken to. The base classes, the dialects that the gateway has, and "
        "what several of them share.",
        ("native_api.dialects",),
        ("adapted_dialect.py",),
        (("Your own dialects", "extending.md#your-own-dialects"),),
        (
            "native_api.dialects.Dialect",
            "native_api.dialects.StreamParser",
            "native_api.dialects.StreamEditor",
        ),
    ),
    Group(
        "Presets",
        "What is known of a vendor before anybody configures it.",
        ("native_api.catalog",),
        guides=(("Your own provider presets", "extending.md#your-own-provider-presets"),),
    ),
    Group(
        "Authentication methods for providers",
        "How a key, or what is made from it, gets onto a request to a provider.",
        ("native_api.upstream.auth",),
        guides=(
            (
                "Your own authentication methods for providers",
                "extending.md#your-own-authentication-methods-for-providers",
            ),
        ),
    ),
    Group(
        "Values",
        "What the other parts exchange. Requests, replies and chunks are dictionaries in OpenAI's "
        "shape; all others are frozen dataclasses or named tuples.",
        ("native_api.types",),
        ("sent_body.py",),
    ),
    Group(
        "URLs and servers",
        "",
        ("native_api.urls", "native_api.asgi"),
        ("base_url.py",),
        (("Servers", "deployment.md#servers"),),
    ),
    Group(
        "Testing",
        "For a site's own tests. The pytest fixture `native_llm` gives a `ScriptedProvider`.",
        ("native_api.testing",),
        guides=(("Testing your site", "testing.md#with-pytest"),),
        subclassed=("native_api.testing.ScriptedProvider", "native_api.testing.Call"),
    ),
    Group(
        "Logs",
        "For `LOGGING`.",
        ("native_api.logs",),
        guides=(("Logs", "deployment.md#logs"),),
    ),
    Group("The package", "", ("native_api",), ("version.py",)),
)
"""In the order of the page."""

SETTINGS: Final = {
    "AUTH_METHODS": (
        "authentication methods for providers, by name",
        "extending.md#your-own-authentication-methods-for-providers",
    ),
    "CALLER": ("a function of the request that returns its caller", "#whom-a-call-is-counted-for"),
    "DIALECTS": ("dialects, by name", "extending.md#your-own-dialects"),
    "PRESETS": ("presets, by name", "extending.md#your-own-provider-presets"),
    "DEFAULT_AUTHENTICATION_CLASSES": ("authentication classes", "#authentication-and-throttles"),
    "DEFAULT_PERMISSION_CLASSES": (
        "permission classes of Django REST Framework",
        "extending.md#your-own-policies",
    ),
    "DEFAULT_THROTTLE_CLASSES": ("throttle classes", "#authentication-and-throttles"),
    "HOOKS": ("classes of hooks", "#hooks"),
}
"""Setting that holds dotted paths -> what they lead to, and where that is explained."""

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
            *(f"- [{title}](#{anchor(title)})\n" for title in titles()),
            *map(format_group, GROUPS),
            SETTINGS_TEXT,
            *(format_setting(name, *row) for name, row in sorted(SETTINGS.items())),
            COMMANDS_TEXT,
            *map(format_command, sorted(COMMANDS.glob("native_*.py"))),
            format_example(EXAMPLES / "commands.py"),
        ]
    )


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
            *map(format_class, group.subclassed),
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
    )


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
