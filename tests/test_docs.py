"""The documentation is true: it names what is there, its code compiles, its links lead
somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from native_api.conf import DEFAULTS
from scripts import architecture, providers_page, translation_page

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
PACKAGE = ROOT / "native_api"
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_code_compiles(page: Path) -> None:
    for block in code_blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_setting_is_explained_with_its_default(name: str) -> None:
    row = re.findall(rf"^\| `{name}` \|(.*)$", SETTINGS, re.MULTILINE)[0]
    told = row.split("|")[0].strip().strip("`")
    assert (
        ast.literal_eval(told) == DEFAULTS[name] or tuple(ast.literal_eval(told)) == DEFAULTS[name]
    )


def test_every_variable_of_the_project_is_explained() -> None:
    source = "".join(
        (ROOT / "gatewayproject" / name).read_text() for name in ("settings.py", "environment.py")
    )
    read = set(re.findall(r"""(?:environ(?:\.get\(|\[)|flag\(|names\()"([A-Z_]+)\"""", source))
    assert read
    assert read <= set(re.findall(r"^\| `([A-Z_]+)` \|", SETTINGS, re.MULTILINE))


def test_messages_that_are_explained_are_real() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    tables = re.findall(r"\| message \|.*?\n\n", f"{page}\n", re.DOTALL)
    explained = re.findall(r"^\| `([^`]+)` \|", "".join(tables), re.MULTILINE)
    trees = (ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py"))
    texts = {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert len(explained) > 10
    assert [part for part in explained if not any(part in text for text in texts)] == []


def test_ids_of_checks_are_real() -> None:
    source = "".join(path.read_text() for path in (ROOT / "native_api" / "checks").glob("*.py"))
    docs = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"native_api\.[EW]\d+", docs))
    assert named
    assert named <= set(re.findall(r'"(native_api\.[EW]\d+)"', source))


CLAIMS = [
    line
    for line in (ROOT / "docs" / "security.md").read_text().splitlines()
    if re.match(r"\| (?!what holds|---)", line)
]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim[2:40])
def test_every_claim_of_security_names_tests_that_are_there(claim: str) -> None:
    shown_by = re.findall(r"`([\w/]+\.py)::(\w+)`", claim.rsplit("|", 2)[1])
    assert shown_by
    for path, name in shown_by:
        assert re.search(
            rf"^ *(async def|def|class) {name}\b", (ROOT / "tests" / path).read_text(), re.MULTILINE
        ), f"{path}::{name}"


def test_the_page_of_providers_is_made_from_the_rows() -> None:
    assert providers_page.PAGE.read_text() == providers_page.page(), (
        "run python -m scripts.providers_page"
    )


def test_the_page_of_losses_is_made_from_their_table() -> None:
    assert translation_page.PAGE.read_text() == translation_page.page(), (
        "run python -m scripts.translation_page"
    )


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/extending.md"])
def test_files_that_are_named_exist(name: str) -> None:
    paths = re.findall(r"`([\w./-]+(?:\.py|/))`", (ROOT / name).read_text())
    assert paths
    missing = [path for path in paths if not ((ROOT / path).exists() or (PACKAGE / path).exists())]
    assert missing == []


def test_the_picture_of_the_architecture_is_drawn_from_the_code() -> None:
    page = architecture.PAGE.read_text()
    assert page == architecture.page(page), "run python -m scripts.architecture"
