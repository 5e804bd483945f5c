"""One name for one model: how vendors read the names of models, and how patterns are compared with them.

Rules:
1. Vendors take several spellings for one model. Here they are one for every provider, whichever vendor reads them so: a spelling that
   one vendor takes for a model names nothing at the others, and any server may stand behind a wire that many speak.
2. Capitals do not count. Some vendors ignore them (Ollama, Azure, Mistral), the others know no two models that differ in nothing else.
3. What may cost or answer differently is a model of its own: a version, a tag, a region, `:free`. Limits on the plain name cover it too
   (`related`), since a limit must not be avoided by naming a variant; access and prices do not.
4. A name that a caller makes up must be plain (`is_plain`): nothing that a server could strip, decode or resolve.

Sources (read 2026-11): https://github.com/ollama/ollama/blob/main/types/model/name.go,
https://ai.google.dev/api/generate-content, https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html,
https://openrouter.ai/docs/guides/routing/model-variants/overview.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, NamedTuple

REMEMBERED: Final = 512
"""Names, which callers make up as long as they like."""

MOST_BASES: Final = 4

PLAIN: Final = re.compile(r"[A-Za-z0-9._:@~+=,-]+(?:/[A-Za-z0-9._:@~+=,-]+)*", re.ASCII)

PREFIX: Final = re.compile(
    r"(?:https?://)?(?:registry\.ollama\.ai|ollama\.com)/"
    r"|(?:models|library)/(?=[^/]+$)"
    r"|(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/(?=[^/]+$)"
    r"|arn:aws[^:/]*:bedrock:[^:/]*:[^:/]*:(?:foundation-model|inference-profile)/(?=[^/]+$)"
)
"""What may stand before a name without changing which model it is."""

LATEST: Final = ":latest"
"""The tag of an Ollama name that has none."""

BEFORE_ALL: Final = ("", "registry.ollama.ai/", "ollama.com/")
BEFORE_ONE: Final = (
    *BEFORE_ALL, "models/", "library/", "registry.ollama.ai/library/", "ollama.com/library/", "publishers/google/models/",
    "publishers/anthropic/models/",
)  # fmt: skip
"""Prefixes under which patterns may name a model, of any name and of one without a slash."""

REGION: Final = re.compile(r"^(?:us|us-gov|eu|apac|ap|jp|au|ca|sa|me|af|uk|in|kr|global)\.")
"""Of Amazon Bedrock's inference profiles."""

VARIANT: Final = re.compile(r"(?:[:@+][^:@+/]*|-(?:latest|\d{4}-\d\d-\d\d|\d\d-\d{4}|\d{3,8}|v\d+))$")
"""The end of a name that tells a variant: a tag, a version, a build, a date."""


class Named(NamedTuple):
    """What a request's `model` means: a name of the site's own, or `model` as the provider reads it where `provider` is set.

    `is_known` is False where nobody here knows such a name.
    """

    name: str
    provider: str = ""
    model: str = ""
    is_known: bool = True


def is_plain(model: str) -> bool:
    """Whether a name has only what every server reads as it stands: no spaces, escapes, empty steps or `..`."""
    return PLAIN.fullmatch(model) is not None and not any(step.strip(".") == "" for step in model.split("/"))


@lru_cache(REMEMBERED)
def canonical(model: str) -> str:
    """The one name of the model: `llama3` for `registry.ollama.ai/library/LLAMA3:latest`. For comparing, never for sending."""
    return _stripped(model.strip().lower()).removesuffix(LATEST)


def _stripped(name: str) -> str:
    while (found := PREFIX.match(name)) is not None and found.end() < len(name):
        name = name[found.end() :]
    return name


@lru_cache(REMEMBERED)
def spellings(model: str) -> frozenset[str]:
    """What a pattern may call the model: as it was written, and in all ways that mean the same."""
    name = canonical(model)
    tags = ("",) if ":" in name.rpartition("/")[2] else ("", LATEST)
    return frozenset([model.lower(), *(f"{prefix}{name}{tag}" for prefix in _prefixes(name) for tag in tags)])


@lru_cache(REMEMBERED)
def related(model: str) -> frozenset[str]:
    """The spellings of the model and of all that it is a variant of, by the plain name alone."""
    name = canonical(model)
    bases = {*_bases(name), *_bases(REGION.sub("", name))} - {name}
    return spellings(model).union(f"{prefix}{base}" for base in bases for prefix in _prefixes(base))


def _bases(name: str) -> list[str]:
    """`["a-2024-08-06:free", "a-2024-08-06", "a"]`; of very many, the first and the last."""
    found = [name]
    while (shorter := VARIANT.sub("", found[-1])) != found[-1] and shorter and not shorter.endswith("/"):
        found.append(shorter)
    return [*found[:MOST_BASES], found[-1]]


def _prefixes(name: str) -> tuple[str, ...]:
    return BEFORE_ALL if "/" in name else BEFORE_ONE


# --- patterns ----------------------------------------------------------------------------------------------


def admits(pattern: str, named: Named) -> bool:
    """Whether a pattern of access means this model. Names of the site's own are compared as they are written."""
    if not named.provider:
        return fnmatchcase(named.name, pattern)
    return any(fnmatchcase(f"{named.provider}/{spelling}", each) for each in _read(pattern) for spelling in spellings(named.model))


@lru_cache(8 * REMEMBERED)
def _read(pattern: str) -> tuple[str, ...]:
    """A pattern as it is compared: the provider's name as it stands, the model's in small letters, with its prefix and without."""
    provider, slash, model = pattern.partition("/")
    if not slash:
        return (pattern, pattern.lower())
    return tuple({f"{provider}/{name}" for name in (model.lower(), _stripped(model.lower()))})


@lru_cache(8 * REMEMBERED)
def covers(pattern: str, name: str) -> bool:
    """Whether a limit's pattern covers a name: a site's own, or `provider/model`. In doubt it does.

    A pattern without a provider means the model whoever serves it.
    """
    provider, slash, model = name.partition("/")
    wanted = {each.lower() for each in _read(pattern)}
    names = {name.lower(), *(f"{provider.lower()}/{each}" for each in related(model))} if slash else {name.lower()}
    if slash and "/" not in pattern:
        names |= related(model) | {each.rpartition("/")[2] for each in related(model)}
    return any(fnmatchcase(each, pattern) for pattern in wanted for each in names)
