"""Writes docs/providers.md from the presets and the dialects: python -m scripts.providers_page"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from native_api.catalog.environment import base_url_variables
from native_api.catalog.presets import PRESETS, Preset
from native_api.dialects import DIALECTS
from native_api.dialects.base import Dialect
from native_api.dialects.shared.gateway_owned import OwnedMembers
from native_api.types import DIALECT_FIELDS, Quirks
from native_api.upstream.auth.methods import AUTHORIZERS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers.md"

INTRODUCTION = """# Providers

<!-- Made by `python -m scripts.providers_page`. -->

A provider whose name is in this table needs only its key, and the `OPTIONS` that its row names. Any
other server that speaks one of the dialects needs `DIALECT` and `BASE_URL`, see
[settings](settings.md). To add a vendor, see [adding a provider](adding-a-provider.md). A site can
plug in [presets](extending.md#your-own-provider-presets),
[authentication methods](extending.md#your-own-authentication-methods-for-providers) and
[dialects](extending.md#your-own-dialects) of its own.

The variables are those that the vendors' own SDKs read. `native_quickstart`, and the project in
this repository, add a provider for each vendor whose variables are all set. Those of the base URL
are optional; the path that an SDK appends to them, such as `/v1` to `ANTHROPIC_BASE_URL`, may be
left out. In base URLs `{name}` is replaced by the value in `OPTIONS`, and `{model}` by the model's
name. `DIALECT` selects another wire of the same vendor: `{"PRESET": "openai", "DIALECT":
"openai_responses"}` is for models that only the Responses API has.

All callers of the site share a provider's key. So anything the provider stores under it (files,
containers, stored responses, conversations, batches) may belong to another caller. Requests that
name such state are refused, unless the provider has `"OWN_ACCOUNT": True`: then all callers may
share it.

| preset | dialect | base URL | key is sent as | variables | documentation |
|---|---|---|---|---|---|
"""

AUTHENTICATION = """
## Authentication

`AUTH` selects another method than the preset's.

| `AUTH` | what is sent | `API_KEY` |
|---|---|---|
"""

METHODS = {
    "none": ("nothing", "none"),
    "bearer": ("`Authorization: Bearer KEY`", "the key"),
    "x-api-key": ("`x-api-key: KEY`", "the key"),
    "api-key": ("`api-key: KEY`", "the key"),
    "x-goog-api-key": ("`x-goog-api-key: KEY`", "the key"),
    "aws": (
        "a Signature Version 4, or `Authorization: Bearer KEY`; signing needs the extra `bedrock`",
        "`ACCESS_KEY_ID:SECRET_ACCESS_KEY`, or a Bedrock API key. Without it: the credentials that "
        "AWS's own tools would use, see [settings](settings.md#amazon-bedrock)",
    ),
    "google": (
        "`Authorization: Bearer` with a Google access token, which is renewed before it expires; "
        "needs the extra `google`",
        "the JSON of a service account's key. Without it: the [Application Default Credentials]"
        "(https://cloud.google.com/docs/authentication/application-default-credentials)",
    ),
    "azure": (
        "`Authorization: Bearer` with a Microsoft Entra token, which is renewed before it expires; "
        "needs the extra `azure`",
        "a client secret; also needs `OPTIONS` `tenant_id` and `client_id`. Without it: the "
        "machine's identity, as [DefaultAzureCredential](https://learn.microsoft.com/en-us/python/"
        "api/azure-identity/azure.identity.defaultazurecredential) finds it (`client_id` selects "
        "one of several)",
    ),
}
"""Authentication method -> what it sends, and what `API_KEY` must contain."""

SECRETS = """
Secrets belong in `API_KEY`, never in `OPTIONS`, `HEADERS` or `BASE_URL`, which the admin shows. If
an extra is missing, `manage.py check` and every call name the package to install.

### The identity of the machine

Without an `API_KEY`, `aws`, `google` and `azure` send the credentials of the machine. People who
may add a provider must not get these, so they are sent only over TLS and only to these hosts:

| `AUTH` | hosts |
|---|---|
| `aws` | Amazon Bedrock's: `bedrock-runtime.REGION.amazonaws.com`, `.amazonaws.com.cn`, \
`.api.aws`, and its VPC endpoints |
| `google` | Vertex AI's and Gemini's below `googleapis.com`, and their Private Service Connect \
endpoints |
| `azure` | `NAME.openai`, `NAME.cognitiveservices`, `NAME.services.ai` below `azure.com`, \
`azure.us`, `azure.cn`; their private links |

`"IDENTITY_HOSTS": ["proxy.example.com"]` allows other hosts, such as the site's own proxy. It works
only for a provider in the settings, not for one in the database. The token's scope follows from the
host. `OPTIONS` `scope` and `authority` need an `API_KEY`, or `IDENTITY_HOSTS`.
"""

DIFFERENCES = """
## How vendors differ from their dialect

Fields that a vendor refuses are treated like fields that its dialect cannot express, see below.

| presets | differences |
|---|---|
"""

SUPPORTED_FIELDS = """
## Fields of each dialect

If a wire cannot express a field, the field is either *omitted* and named in `x-native-omitted`
(at most 50 names), because it is only a hint, or *refused*: then the next target is tried, and if
there is none, the answer is a 400 that names the field.

"""


OWNED = """
## What `provider_options` cannot set

These members of a provider's body come only from the unified request, which is checked, reserved
for and recorded. Options that set one, in any spelling that a server accepts, are refused with the
member's path. Members marked *state* are allowed with `OWN_ACCOUNT`.

| dialect | members |
|---|---|
"""


def page() -> str:
    presets = sorted(PRESETS.values(), key=lambda preset: preset.name)
    return (
        INTRODUCTION
        + "".join(format_preset(preset) for preset in presets)
        + format_authentication()
        + format_differences(presets)
        + format_supported_fields()
        + format_owned_members()
    )


def format_preset(preset: Preset) -> str:
    variables = [format_alternatives((preset.key_variable, *preset.other_variables))]
    variables += [
        f"{format_alternatives(names)} (`{option}`)" for option, names in preset.options.items()
    ]
    base_urls = tuple(variable.name for variable in base_url_variables(preset))
    if base_urls:
        variables.append(f"{format_alternatives(base_urls)} (base URL)")
    docs = f"<{preset.docs}>" if preset.docs.startswith("https://") else ""
    cells = (
        format_code(preset.name),
        format_code(preset.dialect),
        format_code(preset.base_url),
        format_code(preset.auth),
        ", ".join(filter(None, variables)),
        docs,
    )
    return f"| {' | '.join(cells)} |\n"


def format_alternatives(variables: tuple[str, ...]) -> str:
    return " or ".join(format_code(name) for name in variables if name)


def format_code(text: str) -> str:
    return f"`{text}`"


def format_authentication() -> str:
    rows = ((name, *METHODS.get(name, ("", ""))) for name in AUTHORIZERS)
    return (
        AUTHENTICATION
        + "".join(f"| `{name}` | {sent} | {key} |\n" for name, sent, key in rows)
        + SECRETS
    )


def format_differences(presets: list[Preset]) -> str:
    """Vendors with the same differences share a line."""
    presets_by_difference: dict[str, list[str]] = {}
    for preset in presets:
        difference = "; ".join(describe_quirks(preset.quirks))
        presets_by_difference.setdefault(difference, []).append(format_code(preset.name))
    return DIFFERENCES + "".join(
        f"| {', '.join(names)} | {difference} |\n"
        for difference, names in presets_by_difference.items()
        if difference
    )


def describe_quirks(quirks: Quirks) -> Iterator[str]:
    """A description of each quirk that is not the default."""
    for field in fields(Quirks):
        value = getattr(quirks, field.name)
        if value == getattr(Quirks(), field.name):
            continue
        if field.name in DESCRIPTIONS:
            yield DESCRIPTIONS[field.name](value)
        else:
            yield f"`{field.name}`: {format_list(value)}"


DESCRIPTIONS: dict[str, Callable[[Any], str]] = {
    "max_tokens_field": lambda field: f"the output limit is sent as `{field}`",
    "unsupported": lambda names: f"refuses {format_list(names)}",
    "roles": lambda roles: ", ".join(
        f"`{ours}` messages are sent as `{theirs}`" for ours, theirs in roles.items()
    ),
    "stream_usage": lambda allowed: "is not asked for usage in streams",
    "renamed": lambda names: ", ".join(
        f"`{ours}` is sent as `{theirs}`" for ours, theirs in names.items()
    ),
    "extensions": lambda names: f"also takes {format_list(names)}",
    "reasoning_field": lambda field: f"takes the reasoning of earlier turns as `{field}`",
    "thinking": lambda switch: f"`reasoning_effort: none` is sent as `{switch}`",
    "file_part": lambda kind: f"documents are sent as `{kind}`",
    "text_parts": lambda allowed: "text is sent as a string",
    "call_id_length": lambda length: f"ids of tool calls have {length} characters",
    "user_after_tools": lambda allowed: (
        "an assistant message is sent between tool results and a user message"
    ),
    "tool_rules": lambda row: f"names and schemas of tools follow the rules of `{row}`",
}
"""Quirk -> its description. A quirk without one is listed by its name."""


def format_list(value: Any) -> str:
    if isinstance(value, frozenset | set | tuple | list):
        return ", ".join(format_code(name) for name in sorted(value))
    return format_code(str(value))


def format_supported_fields() -> str:
    names = sorted(DIALECTS)
    head = f"| field | {' | '.join(f'`{name}`' for name in names)} |\n|---|{'---|' * len(names)}\n"
    return SUPPORTED_FIELDS + head + "".join(format_field_rows(names))


def format_field_rows(names: list[str]) -> Iterator[str]:
    for field in sorted(DIALECT_FIELDS):
        cells = (describe_support(DIALECTS[name], field) for name in names)
        yield f"| `{field}` | {' | '.join(cells)} |\n"


def describe_support(dialect: Dialect, field: str) -> str:
    if field in dialect.omitted_fields:
        return "omitted"
    return "refused" if field in dialect.refused_fields else "yes"


def format_owned_members() -> str:
    return OWNED + "".join(
        f"| `{name}` | {format_members(dialect.owned_members)} |\n"
        for name, dialect in sorted(DIALECTS.items())
    )


def format_members(members: OwnedMembers) -> str:
    names = ", ".join(format_member(path, kind) for path, kind in members.items())
    wrappers = " and ".join(map(format_code, members.wrappers))
    return f"{names}; the same inside {wrappers}" if wrappers else names


def format_member(path: str, kind: str) -> str:
    return f"{format_code(path)} (state)" if kind == "state" else format_code(path)


if __name__ == "__main__":
    PAGE.write_text(page())
