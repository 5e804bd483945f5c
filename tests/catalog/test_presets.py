"""The vendors' rows: each can be built and called, and is there when its variables are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from native_api.catalog import preset_checks
from native_api.catalog.environment import (
    base_url_variables,
    base_urls_without_key,
    providers_from_environment,
    read_base_url,
)
from native_api.catalog.presets import (
    PRESETS,
    ROWS,
    Preset,
)
from native_api.catalog.providers import build_provider
from native_api.dialects import DIALECTS
from native_api.types import Target
from native_api.upstream.auth.methods import AUTHORIZERS, KEY_METHODS
from tests.scripted_provider import completion, running_upstream, says

ROOT = Path(__file__).resolve().parent.parent.parent
CHAT: Any = {
    "model": "m",
    "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
}


def variables_of(row: Preset) -> list[str]:
    """One for each thing that it needs."""
    return [*filter(None, [row.key_variable]), *(names[0] for names in row.options.values())]


ALL_VARIABLES = {
    variable: f"https://{variable.lower()}.example"
    for row in ROWS
    for variable in variables_of(row)
}


def test_names_are_unique() -> None:
    assert len(PRESETS) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_says_everything(row: Preset) -> None:
    assert list(preset_checks.find_errors(row, DIALECTS, AUTHORIZERS)) == []
    assert row.docs.startswith("https://") or row.name == "echo"
    assert row.key_variable or row.auth not in KEY_METHODS
    assert re.fullmatch(r"([A-Z][A-Z0-9_]+)?", row.key_variable)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_vendor_whose_variables_are_set_can_be_asked(row: Preset) -> None:
    definition = providers_from_environment(ALL_VARIABLES).get(row.name, {})
    provider = build_provider(row.name, definition)
    url = urlsplit(DIALECTS[row.dialect].request(CHAT, Target(provider, "a-model")).url)
    assert url.scheme in {"https"} | ({"http", "echo"} if row.auth == "none" else set())
    assert url.hostname
    assert "{" not in url.geturl()


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.key_variable or row.options], ids=lambda row: row.name
)
def test_a_vendor_is_found_only_when_all_its_variables_are_set(row: Preset) -> None:
    needed = dict.fromkeys(variables_of(row), "set")
    assert row.name in providers_from_environment(needed)
    for variable in needed:
        assert row.name not in providers_from_environment({**needed, variable: " "})


def test_a_key_is_looked_for_under_the_vendors_other_name_too() -> None:
    assert providers_from_environment({"GOOGLE_API_KEY": "k"}) == {"gemini": {"API_KEY": "k"}}
    assert providers_from_environment({"GOOGLE_API_KEY": "other", "GEMINI_API_KEY": "k"}) == {
        "gemini": {"API_KEY": "k"}
    }


NAMED_BASE_URLS = [
    ("openai", "OPENAI_BASE_URL", "https://proxy.example/v1/", "https://proxy.example/v1"),
    ("openai", "OPENAI_API_BASE", "https://proxy.example/v1", "https://proxy.example/v1"),
    ("anthropic", "ANTHROPIC_BASE_URL", "https://proxy.example", "https://proxy.example/v1"),
    ("anthropic", "ANTHROPIC_BASE_URL", "https://proxy.example/v1", "https://proxy.example/v1"),
    ("anthropic", "ANTHROPIC_API_BASE", "https://proxy.example", "https://proxy.example/v1"),
    ("gemini", "GOOGLE_GEMINI_BASE_URL", "https://proxy.example/", "https://proxy.example/v1beta"),
    ("vertex", "GOOGLE_VERTEX_BASE_URL", "https://aiplatform-ep.p.googleapis.com", "https://aiplatform-ep.p.googleapis.com/v1"),
    ("vertex-anthropic", "ANTHROPIC_VERTEX_BASE_URL", "https://aiplatform-ep.p.googleapis.com/v1", "https://aiplatform-ep.p.googleapis.com/v1"),
    ("bedrock", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://vpce.example", "https://vpce.example"),
    ("bedrock", "AWS_ENDPOINT_URL", "https://vpce.example", "https://vpce.example"),
    ("cohere", "CO_API_URL", "https://proxy.example", "https://proxy.example/v2"),
    ("cerebras", "CEREBRAS_BASE_URL", "https://proxy.example", "https://proxy.example/v1"),
    ("fireworks", "FIREWORKS_BASE_URL", "https://a.example/inference/v1", "https://a.example/inference/v1"),
    ("groq", "GROQ_BASE_URL", "https://proxy.example", "https://proxy.example/openai/v1"),
    ("together", "TOGETHER_BASE_URL", "https://api.together.ai", "https://api.together.ai/v1"),
    ("together", "TOGETHER_BASE_URL", "https://api.together.xyz/v1", "https://api.together.xyz/v1"),
    ("qwen", "DASHSCOPE_HTTP_BASE_URL", "https://cn.example/api/v1", "https://cn.example/compatible-mode/v1"),
    ("zai", "ZAI_BASE_URL", "https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4"),
    ("deepseek", "DEEPSEEK_API_BASE", "https://proxy.example", "https://proxy.example"),
]  # fmt: skip
"""Preset, variable, its value as that SDK takes it, and our base URL."""


@pytest.mark.parametrize(("name", "variable", "value", "base_url"), NAMED_BASE_URLS)
def test_a_key_goes_to_the_host_that_is_named_beside_it(
    name: str, variable: str, value: str, base_url: str
) -> None:
    definition = providers_from_environment({**ALL_VARIABLES, variable: value})[name]
    assert definition["BASE_URL"] == base_url
    provider = build_provider(name, definition)
    host = urlsplit(
        DIALECTS[provider.dialect].request(CHAT, Target(provider, "a-model")).url
    ).netloc
    assert host == urlsplit(base_url).netloc


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.key_variable and "{" not in row.base_url],
    ids=lambda r: r.name,
)
def test_every_vendor_with_a_key_has_a_variable_for_its_base_url(row: Preset) -> None:
    if row.key_variable.endswith("_API_KEY"):
        stem = row.key_variable.removesuffix("_API_KEY")
        names = {variable.name for variable in base_url_variables(row)}
        assert {f"{stem}_BASE_URL", f"{stem}_API_BASE"} <= names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_path_that_an_sdk_appends_ends_the_preset_s_base_url(row: Preset) -> None:
    for variable in row.base_url_variables:
        assert row.base_url.endswith(variable.appends), variable


def test_a_base_url_that_is_empty_is_not_set() -> None:
    assert providers_from_environment({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": " "}) == {
        "openai": {"API_KEY": "k"}
    }


def test_a_base_url_alone_adds_no_provider_and_names_the_key_that_is_missing() -> None:
    environment = {
        "OPENAI_BASE_URL": "http://127.0.0.1:1234/v1",
        "CO_API_KEY": "k",
        "CO_API_URL": "x",
    }
    assert providers_from_environment(environment).keys() == {"cohere"}
    assert base_urls_without_key(environment) == {"OPENAI_BASE_URL": "OPENAI_API_KEY"}


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":5678", "http://127.0.0.1:5678"),
        ("0.0.0.0:5678", "http://127.0.0.1:5678"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("https://ollama.example", "https://ollama.example"),
        ("ollama.example/path/", "http://ollama.example:11434/path"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:5678", "http://[::1]:5678"),
    ],
)
def test_ollama_s_host_may_be_written_as_ollama_reads_it(host: str, base_url: str) -> None:
    assert read_base_url(PRESETS["ollama"], {"OLLAMA_HOST": host}) == base_url


def test_the_variables_of_a_base_url_have_their_own_type() -> None:
    row = Preset("a", "openai", "https://a.example", base_url_variables=("A_URL",))  # type: ignore[arg-type]
    [error] = preset_checks.find_errors(row, DIALECTS, AUTHORIZERS)
    assert "base_url_variables" in str(error)


RECORDED = [
    path
    for path in sorted((ROOT / "tests" / "recordings" / "openai").glob("*.json"))
    if '"quirks"' in path.read_text()
]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_row_has_the_quirks_that_its_vendor_was_recorded_with(path: Path) -> None:
    row = PRESETS.get(path.stem.partition("_")[0])
    if row is None or row.dialect != "openai":
        return
    for name, recorded in json.loads(path.read_text())["provider"]["quirks"].items():
        told = getattr(row.quirks, name)
        if isinstance(recorded, list):
            assert set(recorded) <= told, name
        else:
            assert told == recorded, name


# --- docs/adding-a-provider.md -------------------------------------------------------------------

CALL = """
import asyncio, sys
from django.conf import settings
acme = {"API_KEY": "k", "BASE_URL": sys.argv[1]}
settings.configure(SECRET_KEY="x" * 50, NATIVE_API={"PROVIDERS": {"acme": acme}})
from native_api.catalog import catalog
from native_api.catalog.providers import build_provider
from native_api.upstream import call
from native_api.upstream.prepared_request import prepare
from native_api.upstream.attempt_log import AttemptLog
assert build_provider("acme", {"API_KEY": "k"}).base_url == "https://api.acme.example/v1"
target = catalog.merge_with_settings({}, {}).targets("acme/a-model")[0]
chat = {"model": "acme/a-model", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
reply = asyncio.run(call.complete(prepare(chat, target), AttemptLog()))
print(reply.reply["choices"][0]["message"]["content"])
"""


def applied(source: str, diff: str) -> str:
    """The source with the diff's added lines put behind its context, which must be there exactly
    once."""
    context = "".join(f"{line[1:]}\n" for line in diff.splitlines() if line.startswith(" "))
    added = "".join(f"{line[1:]}\n" for line in diff.splitlines() if line.startswith("+"))
    assert source.count(context) == 1, "the how-to shows lines that are not there"
    return source.replace(context, context + added)


def test_the_diff_of_the_how_to_adds_a_vendor(tmp_path: Path) -> None:
    for name in ("native_api", "scripts", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    [diff] = re.findall(
        r"```diff\n(.*?)```", (ROOT / "docs" / "adding-a-provider.md").read_text(), re.DOTALL
    )
    rows = tmp_path / "native_api" / "catalog" / "presets.py"
    rows.write_text(applied(rows.read_text(), diff))
    run(tmp_path, "-m", "scripts.providers_page")
    assert "`acme`" in (tmp_path / "docs" / "providers.md").read_text()
    with running_upstream() as upstream:
        upstream.script("a-model", says(completion("at your service")))
        assert run(tmp_path, "-c", CALL, upstream.url).strip() == "at your service"
        [received] = upstream.requests_for("a-model")
    assert received.headers["authorization"] == "Bearer k"
    assert received.body["max_tokens"] == 5


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
