"""docs/reference.md is what the code says, and names all that is public; the docs import nothing
else. What runs the examples is in `test_reference_examples`."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from native_api.catalog import plugins
from native_api.conf import CLASSES, FUNCTIONS
from scripts import public_names, reference_page
from scripts.reference_groups import FREE_OF_SETTINGS, GROUPS, SETTINGS, Group
from scripts.reference_page import PAGE
from tests import test_reference_examples
from tests.cases import Cases, for_each

ROOT = Path(__file__).resolve().parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted({module for group in GROUPS for module in group.modules})
DETAILED = [path for group in GROUPS for path in group.detailed]


@cache
def list_names() -> list[tuple[str, str]]:
    """The module and the name of everything public."""
    return [(module, name) for module in MODULES for name in public_names.names_in(module)]


def list_members() -> Cases:
    return [
        (f"{path}.{member.name}", member)
        for path in DETAILED
        for member in public_names.read_members(*path.rsplit(".", 1))
    ]


def test_the_page_is_made_from_the_code() -> None:
    assert PAGE.read_text() == reference_page.page(), "run python -m scripts.reference_page"


# --- what is public -------------------------------------------------------------------------------


@for_each(lambda: [(module, module) for module in MODULES])
def test_the_names_of_a_module_are_sorted_and_there(module: str) -> None:
    imported = importlib.import_module(module)
    names = public_names.names_in(module)
    assert names == imported.__all__
    assert len(set(names)) == len(names)
    for name in names:
        assert hasattr(imported, name), f"{module}.{name}"


@for_each(lambda: [(".".join(name), name) for name in list_names()])
def test_each_name_says_what_it_is(name: tuple[str, str]) -> None:
    assert public_names.read_name(*name).summary


@for_each(list_members)
def test_each_member_says_what_it_is(member: public_names.PublicName) -> None:
    assert member.summary


def test_no_name_is_listed_twice() -> None:
    groups = [module for group in GROUPS for module in group.modules]
    assert len(set(groups)) == len(groups)


def test_every_setting_with_a_path_is_listed() -> None:
    assert SETTINGS.keys() == CLASSES | FUNCTIONS | plugins.REGISTRIES.keys()


@pytest.mark.parametrize("module", FREE_OF_SETTINGS)
def test_what_is_free_of_settings_can_be_imported_without_them(module: str) -> None:
    environment = {**os.environ}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-W", "error", "-c", f"import {module}"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["native_api", "native_api.types", "native_api.exceptions"])
def test_values_and_errors_are_light(module: str) -> None:
    code = (
        f"import {module}, sys; print({{'django', 'httpx', 'rest_framework'}} & {{*sys.modules}})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


# --- what the docs use ----------------------------------------------------------------------------


def code_blocks(page: Path) -> Iterator[str]:
    yield from re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def imports(code: str) -> Iterator[str]:
    """The dotted names that the code imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted_paths(code: str) -> Iterator[str]:
    """The dotted names in settings and in `include`."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^native_api(?:\.\w+)+$", node.value)


def is_public(dotted: str) -> bool:
    module, _, name = dotted.rpartition(".")
    return dotted in MODULES or (module, name) in list_names()


@for_each(lambda: [(page.name, page) for page in DOCS])
def test_code_of_the_docs_uses_public_names_only(page: Path) -> None:
    used = {name for code in code_blocks(page) for name in (*imports(code), *dotted_paths(code))}
    private = {name for name in used if name.startswith("native_api") and not is_public(name)}
    assert private == set()


@for_each(lambda: [(page.name, page) for page in DOCS])
def test_text_of_the_docs_names_public_names_only(page: Path) -> None:
    named = set(re.findall(r"`(native_api(?:\.[A-Za-z]\w*)+)", page.read_text()))
    assert {name for name in named if not is_public(name) and not is_no_name(name)} == set()


def is_no_name(dotted: str) -> bool:
    """Whether it is the id of a check, a logger or a permission."""
    return bool(re.fullmatch(r"native_api\.[EW]\d*", dotted)) or any(
        f'"{name}"' in read_code() for name in (dotted, dotted.partition(".")[2])
    )


@cache
def read_code() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "native_api").rglob("*.py"))


# --- examples -------------------------------------------------------------------------------------


@for_each(lambda: [(path.stem, path) for path in sorted(reference_page.EXAMPLES.glob("*.py"))])
def test_each_example_is_on_the_page_and_has_a_test(path: Path) -> None:
    assert reference_page.format_example(path) in PAGE.read_text()
    assert f"test_{path.stem}" in vars(test_reference_examples)


@for_each(lambda: [(group.title, group) for group in GROUPS])
def test_each_group_has_an_example(group: Group) -> None:
    targets = [target for _, target in group.guides]
    assert group.examples or any(target in test_reference_examples.GUIDES for target in targets)


GUIDES = {target for group in GROUPS for _, target in group.guides}


@for_each(lambda: [(target, target) for target in sorted(GUIDES)])
def test_code_of_each_guide_has_a_test(target: str) -> None:
    if "```python" in test_reference_examples.section(target):
        path, _, name = test_reference_examples.GUIDES[target].partition("::")
        assert re.search(rf"^def {name}\b", (ROOT / "tests" / path).read_text(), re.MULTILINE)
