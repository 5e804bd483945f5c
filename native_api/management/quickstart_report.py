"""What `native_quickstart` prints: who may use the gateway, what it has found, and the first call.
Every command and snippet works as it is printed."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from native_api.catalog import catalog
from native_api.catalog.presets import PRESETS
from native_api.management.model_lists import ModelList
from native_api.upstream.redaction import redact_url

KEY_VARIABLE: Final = "NATIVE_API_KEY"
MAX_SHOWN: Final = 6
INDENT: Final = " " * 11


@dataclass(frozen=True, slots=True)
class StartFacts:
    """What a person needs for the first call. `password` and `key` are empty if they were printed
    by an earlier run."""

    site: str
    base_url: str
    admin_path: str
    admin: str
    password: str = field(repr=False)
    key_prefix: str
    key: str = field(repr=False)
    model: str


def account_lines(facts: StartFacts) -> Iterable[str]:
    user = f"user {facts.admin}"
    if facts.password:
        user += f", password {facts.password} (shown once)"
    elif facts.admin_path:
        user += f" (new password: {manage_command('changepassword', facts.admin)})"
    yield f"Admin:     {facts.site + facts.admin_path + ', ' if facts.admin_path else ''}{user}"
    if facts.key:
        yield f"API key:   {facts.key} (shown once)"
        return
    yield (
        f"API key:   {facts.key_prefix}… of an earlier run, which cannot be shown again. Put it "
        f"into {KEY_VARIABLE}."
    )
    rotate = manage_command("native_key", "rotate", facts.key_prefix)
    yield f'{INDENT}If it is lost, replace it: export {KEY_VARIABLE}="$({rotate})"'


def provider_lines(lists: Mapping[str, ModelList], snapshot: catalog.Catalog) -> Iterable[str]:
    yield f"Providers: {', '.join(sorted(snapshot.providers))}"
    for name, found in lists.items():
        yield f"Found:     {name}{_address(name, snapshot)}{_describe(name, found)}"


def _address(name: str, snapshot: catalog.Catalog) -> str:
    """Where the provider is, if that is not its vendor's usual address."""
    provider, preset = snapshot.providers.get(name), PRESETS.get(name)
    if provider is None or preset is None or "{" in preset.base_url:
        return ""
    usual = provider.base_url == preset.base_url.rstrip("/")
    return "" if usual else f" at {redact_url(provider.base_url)}"


def _describe(name: str, found: ModelList) -> str:
    if found.problem:
        return f", but {found.problem}. Call its models as {name}/MODEL."
    shown = len(found.models)
    count = f"{shown} of {found.total} models" if shown < found.total else _count(shown)
    return f" with {count}"


def _count(number: int) -> str:
    return f"{number} model{'s'[: number != 1]}"


def missing_key_lines(missing: Mapping[str, str]) -> Iterable[str]:
    for variable, key_variable in missing.items():
        yield (
            f"Not added: {variable} is set and {key_variable} is not. Set both; any text will do "
            "for a server that needs no key."
        )


def model_line(snapshot: catalog.Catalog) -> str:
    names = snapshot.model_names
    more = len(names) - MAX_SHOWN
    shown = ", ".join(names[:MAX_SHOWN]) or "(none)"
    rest = f" and {more} more (GET v1/models lists them)" if more > 0 else ""
    direct = ", and provider/model for any provider above" if snapshot.allow_direct else ""
    return f"Models:    {shown}{rest}{direct}"


def manage_command(*arguments: str) -> str:
    """The command line for another command of this site."""
    return shlex.join([_short_path(sys.executable), _short_path(sys.argv[0]), *arguments])


def _short_path(path: str) -> str:
    """The path from the current folder if it is below that."""
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    return path if relative.startswith(os.pardir) else relative


def example(facts: StartFacts) -> str:
    key = f'"{facts.key}"' if facts.key else f'os.environ["{KEY_VARIABLE}"]'
    return EXAMPLE.format(
        base_url=facts.base_url,
        header=facts.key or f"${KEY_VARIABLE}",
        model=facts.model,
        key=key,
        imports="" if facts.key else "import os\n  ",
    )


EXAMPLE: Final = """
Try it:

  curl {base_url}/chat/completions \\
    -H "Authorization: Bearer {header}" -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

or from Python:

  {imports}from openai import OpenAI
  client = OpenAI(base_url="{base_url}", api_key={key})
  messages = [{{"role": "user", "content": "Hello"}}]
  for chunk in client.chat.completions.create(model="{model}", messages=messages, stream=True):
      print(chunk.choices[0].delta.content or "", end="")
"""
