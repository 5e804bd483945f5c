"""Writes docs/providers.md from the rows of `native_api.providers` and the fields of the dialects.

python -m scripts.providers_page
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect
from native_api.providers import PRESETS, Preset
from native_api.types import DIALECT_FIELDS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers.md"

INTRODUCTION = """# Providers

<!-- Made by `python -m scripts.providers_page`. -->

A provider whose name is in this list needs only its key; any other server that speaks one of the dialects needs `DIALECT` and
`BASE_URL` (see [settings](settings.md)). To add a vendor, see [adding a provider](adding-a-provider.md).

| preset | dialect | base URL | key variable | documentation |
|---|---|---|---|---|
"""

CARRIED = """
## What each dialect carries

A field that a wire cannot say is either *left out* and named in `x-native-omitted`, because it is only a hint, or *refused*: then the
next target is tried, and if none is left the answer is a 400 that names the field.

"""


def page() -> str:
    return INTRODUCTION + "".join(row(preset) for preset in sorted(PRESETS.values(), key=lambda preset: preset.name)) + carried()


def row(preset: Preset) -> str:
    variable = f"`{preset.key_variable}`" if preset.key_variable else ""
    docs = f"<{preset.docs}>" if preset.docs.startswith("https://") else ""
    return f"| `{preset.name}` | `{preset.dialect}` | `{preset.base_url}` | {variable} | {docs} |\n"


def carried() -> str:
    names = sorted(DIALECTS)
    head = f"| field | {' | '.join(f'`{name}`' for name in names)} |\n|---|{'---|' * len(names)}\n"
    return CARRIED + head + "".join(field_rows(names))


def field_rows(names: list[str]) -> Iterator[str]:
    for field in sorted(DIALECT_FIELDS):
        yield f"| `{field}` | {' | '.join(told(DIALECTS[name], field) for name in names)} |\n"


def told(dialect: Dialect, field: str) -> str:
    if field in dialect.hints:
        return "left out"
    return "refused" if field in dialect.refused else "yes"


if __name__ == "__main__":
    PAGE.write_text(page())
