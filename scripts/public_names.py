"""What the source says of public names: their docstrings, signatures and members.

It is read, not imported: models and views cannot be imported before Django is set up.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent

Function = ast.FunctionDef | ast.AsyncFunctionDef


class PublicName(NamedTuple):
    """A name, how it is written (`async complete(chat, caller)`), and its docstring, "" without
    one."""

    name: str
    signature: str
    docstring: str

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring, on one line."""
        return " ".join(self.docstring.partition("\n\n")[0].split())


@cache
def parse_module(module: str) -> ast.Module:
    path = ROOT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text())


def names_in(module: str) -> list[str]:
    """The module's `__all__`."""
    for node in parse_module(module).body:
        if "__all__" in _assigned(node):
            names: list[str] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
            return names
    raise LookupError(f"{module} has no __all__")


def read_name(module: str, name: str) -> PublicName:
    """What the module says of one of its names, or the module that it has it from."""
    body = parse_module(module).body
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return read_name(node.module, alias.name)
        if name in _assigned(node) or getattr(node, "name", None) == name:
            return _public_name(name, node, body)
    raise LookupError(f"{module} has no {name}")


def read_constructor(module: str, name: str) -> str:
    """How the class is called: `UnsupportedField(param, reason)`. It has an `__init__` itself."""
    [method] = (
        node
        for node in find_class(module, name).body
        if isinstance(node, Function) and node.name == "__init__"
    )
    return name + _signature(method)


def read_members(module: str, name: str) -> Iterator[PublicName]:
    """The public methods and attributes that the class itself defines, in its order."""
    body = find_class(module, name).body
    for node in body:
        for member in [*_assigned(node), *([node.name] if isinstance(node, Function) else [])]:
            if not member.startswith("_"):
                yield _public_name(member, node, body)


def find_class(module: str, name: str) -> ast.ClassDef:
    for node in parse_module(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find_class(node.module, alias.name)
    raise LookupError(f"{module} has no class {name}")


def _assigned(node: ast.stmt) -> list[str]:
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _public_name(name: str, node: ast.stmt, body: list[ast.stmt]) -> PublicName:
    if isinstance(node, Function):
        shown = f"async {name}" if isinstance(node, ast.AsyncFunctionDef) else name
        return PublicName(name, shown + _signature(node), ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        return PublicName(name, name, ast.get_docstring(node) or "")
    return PublicName(name, name, _attribute_docstring(node, body))


def _attribute_docstring(node: ast.stmt, body: list[ast.stmt]) -> str:
    """The string after an assignment."""
    following = body[body.index(node) + 1 :][:1]
    for each in following:
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
            return str(each.value.value)
    return ""


def _signature(function: Function) -> str:
    """The arguments without their types: `(chat, caller, request_id='')`. "" for a property."""
    if "property" in map(ast.unparse, function.decorator_list):
        return ""
    arguments = deepcopy(function.args)
    for each in _all_arguments(arguments):
        each.annotation = None
    if arguments.args and arguments.args[0].arg in ("self", "cls"):
        del arguments.args[0]
    text = ast.unparse(arguments).replace("'", '"')
    return f"({text})"


def _all_arguments(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from filter(None, (arguments.vararg, arguments.kwarg))
