"""Writes docs/providers.md from the rows of `native_api.catalog.presets` and the fields of the
dialects.

python -m scripts.providers_page
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from native_api.catalog.presets import PRESETS, Preset
from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect
from native_api.dialects.shared.gateway_owned import OWNED_MEMBERS
from native_api.types import DIALECT_FIELDS, Quirks
from native_api.upstream.auth.methods import AUTHORIZERS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers.md"

INTRODUCTION = """# Providers

<!-- Made by `python -m scripts.providers_page`. -->

A provider whose name is in this list needs only its key, and the OPTIONS that its row names; any other server that speaks one of the
dialects needs `DIALECT` and `BASE_URL` (see [settings](settings.md)). To add a vendor, see [adding a provider](adding-a-provider.md).

The variables are the ones that the vendors' own SDKs read: `native_quickstart`, and the project in this repository, have a provider for
each vendor whose variables are all set. `{name}` in an address is filled from `OPTIONS`, `{model}` with the model's name.
`DIALECT` chooses another wire of the same vendor: `{"PRESET": "openai", "DIALECT": "openai_responses"}` for models that are only there.

A provider's key is shared by all callers of the site, so what a provider keeps under it (files, containers, stored responses,
conversations, batches) could be another caller's. Requests that name such state are refused, unless the provider has
`"OWN_ACCOUNT": True`: then all callers may share it.

| preset | dialect | base URL | key is sent as | variables | documentation |
|---|---|---|---|---|---|
"""

AUTHENTICATION = """
## Authentication

`AUTH` chooses another way than the preset's.

| `AUTH` | what is sent | `API_KEY` |
|---|---|---|
"""

WAYS = {
    "none": ("nothing", "none"),
    "bearer": ("`Authorization: Bearer KEY`", "the key"),
    "x-api-key": ("`x-api-key: KEY`", "the key"),
    "api-key": ("`api-key: KEY`", "the key"),
    "x-goog-api-key": ("`x-goog-api-key: KEY`", "the key"),
    "aws": (
        "a Signature Version 4, or `Authorization: Bearer KEY`; signing needs the extra `bedrock`",
        "`ACCESS_KEY_ID:SECRET_ACCESS_KEY`, or a Bedrock API key; none: what AWS's own tools find, "
        "see [settings](settings.md#amazon-bedrock)",
    ),
    "google": (
        "`Authorization: Bearer` with an access token of Google's, renewed before it ends; needs the extra `google`",
        "the JSON of a service account's key; none: the [Application Default Credentials]"
        "(https://cloud.google.com/docs/authentication/application-default-credentials)",
    ),
    "azure": (
        "`Authorization: Bearer` with a Microsoft Entra token, renewed before it ends; needs the extra `azure`",
        "a client's secret, beside `OPTIONS` `tenant_id` and `client_id`; none: the machine's identity, as "
        "[DefaultAzureCredential](https://learn.microsoft.com/en-us/python/api/azure-identity/azure.identity.defaultazurecredential) "
        "finds it (`client_id` chooses among several)",
    ),
}
"""What is said of the ways of authentication. One that has no entry here is listed by its name."""

SECRETS = """
What is secret goes into `API_KEY`, never into `OPTIONS`, `HEADERS` or `BASE_URL`, which the admin shows. Without the extra,
`manage.py check` and every call say what to install.

### The identity of the machine

Without an `API_KEY`, `aws`, `google` and `azure` send what the machine is trusted with. Whoever may add a provider must not be given
it, so it goes over TLS to these hosts only:

| `AUTH` | hosts |
|---|---|
| `aws` | Amazon Bedrock's: `bedrock-runtime.REGION.amazonaws.com`, `.amazonaws.com.cn`, `.api.aws`, and its VPC endpoints |
| `google` | Vertex AI's and Gemini's below `googleapis.com`, and their Private Service Connect endpoints |
| `azure` | `NAME.openai`, `NAME.cognitiveservices`, `NAME.services.ai` below `azure.com`, `azure.us`, `azure.cn`; their private links |

`"IDENTITY_HOSTS": ["proxy.example.com"]` allows others, such as a proxy of the site's own, for a provider in the settings; a row
cannot say it. The token's scope follows from the host. `OPTIONS` `scope` and `authority` need an `API_KEY`, or `IDENTITY_HOSTS`.
"""

DIFFERENCES = """
## How vendors differ from their dialect

Fields that a vendor refuses are treated like those that its dialect cannot say, see below.

| presets | differences |
|---|---|
"""

CARRIED = """
## What each dialect carries

A field that a wire cannot say is either *left out* and named in `x-native-omitted`, because it is only a hint, or *refused*: then the
next target is tried, and if none is left the answer is a 400 that names the field.

"""


OWNED_MEMBERS_SECTION = """
## What `provider_options` cannot set

These members of a provider's body come from the unified request alone, which is checked, reserved for and recorded. Options that name one,
in whatever spelling a server reads it, are refused with the member's name. What is marked *kept* is allowed with `OWN_ACCOUNT`.

| dialect | members |
|---|---|
"""


def page() -> str:
    rows = sorted(PRESETS.values(), key=lambda preset: preset.name)
    return (
        INTRODUCTION
        + "".join(row(preset) for preset in rows)
        + authentication()
        + differences(rows)
        + carried()
        + owned_members()
    )


def row(preset: Preset) -> str:
    variables = [alternatives((preset.key_variable, *preset.other_variables))]
    variables += [f"{alternatives(names)} (`{option}`)" for option, names in preset.options.items()]
    docs = f"<{preset.docs}>" if preset.docs.startswith("https://") else ""
    cells = (
        code(preset.name),
        code(preset.dialect),
        code(preset.base_url),
        code(preset.auth),
        ", ".join(filter(None, variables)),
        docs,
    )
    return f"| {' | '.join(cells)} |\n"


def alternatives(variables: tuple[str, ...]) -> str:
    return " or ".join(code(name) for name in variables if name)


def code(text: str) -> str:
    return f"`{text}`"


def authentication() -> str:
    rows = ((name, *WAYS.get(name, ("", ""))) for name in AUTHORIZERS)
    return (
        AUTHENTICATION
        + "".join(f"| `{name}` | {sent} | {key} |\n" for name, sent, key in rows)
        + SECRETS
    )


def differences(rows: list[Preset]) -> str:
    """Vendors that differ in the same way share a line."""
    alike: dict[str, list[str]] = {}
    for preset in rows:
        alike.setdefault("; ".join(quirks(preset.quirks)), []).append(code(preset.name))
    return DIFFERENCES + "".join(
        f"| {', '.join(names)} | {words} |\n" for words, names in alike.items() if words
    )


def quirks(value: Quirks) -> Iterator[str]:
    """What is not as the dialect has it, in words; a quirk without words by its name."""
    for quirk in fields(Quirks):
        told = getattr(value, quirk.name)
        if told == getattr(Quirks(), quirk.name):
            continue
        yield (
            IN_WORDS[quirk.name](told)
            if quirk.name in IN_WORDS
            else f"`{quirk.name}`: {listed(told)}"
        )


IN_WORDS: dict[str, Callable[[Any], str]] = {
    "max_tokens_field": lambda field: f"the output limit is sent as `{field}`",
    "unsupported": lambda names: f"refuses {listed(names)}",
    "roles": lambda roles: ", ".join(
        f"`{ours}` messages are sent as `{theirs}`" for ours, theirs in roles.items()
    ),
    "stream_usage": lambda asked: "is not asked for usage in streams",
    "renamed": lambda names: ", ".join(
        f"`{ours}` is sent as `{theirs}`" for ours, theirs in names.items()
    ),
    "extensions": lambda names: f"takes {listed(names)} too",
    "reasoning_field": lambda field: f"gets the reasoning of earlier turns back as `{field}`",
    "thinking": lambda switch: f"`reasoning_effort: none` is said by `{switch}`",
    "file_part": lambda kind: f"documents are sent as `{kind}`",
    "text_parts": lambda allowed: "text is sent as a string",
    "call_id_length": lambda length: f"ids of tool calls have {length} characters",
    "user_after_tools": lambda allowed: (
        "an assistant's turn stands between tool results and a user's message"
    ),
}
"""A quirk that has no words here is listed by its name."""


def listed(value: Any) -> str:
    return (
        ", ".join(code(name) for name in sorted(value))
        if isinstance(value, frozenset | set | tuple | list)
        else code(str(value))
    )


def carried() -> str:
    names = sorted(DIALECTS)
    head = f"| field | {' | '.join(f'`{name}`' for name in names)} |\n|---|{'---|' * len(names)}\n"
    return CARRIED + head + "".join(field_rows(names))


def field_rows(names: list[str]) -> Iterator[str]:
    for field in sorted(DIALECT_FIELDS):
        yield f"| `{field}` | {' | '.join(told(DIALECTS[name], field) for name in names)} |\n"


def told(dialect: Dialect, field: str) -> str:
    if field in dialect.omitted_fields:
        return "left out"
    return "refused" if field in dialect.refused_fields else "yes"


def owned_members() -> str:
    return OWNED_MEMBERS_SECTION + "".join(
        f"| `{wire}` | {', '.join(owned_member(*each) for each in OWNED_MEMBERS[wire].items())} |\n"
        for wire in sorted(OWNED_MEMBERS)
    )


def owned_member(path: str, kind: str) -> str:
    return f"{code(path)} (kept)" if kind == "state" else code(path)


if __name__ == "__main__":
    PAGE.write_text(page())
