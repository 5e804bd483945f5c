"""One name for one model: how vendors read the names of models, and how patterns are compared with them.

Rules:
1. Vendors take several spellings for one model. Here they are one for every provider, whichever vendor reads them so: a spelling that
   one vendor takes for a model names nothing at the others, and any server may stand behind a wire that many speak.
2. Capitals do not count. Some vendors ignore them (Ollama, Azure), the others know no two models that differ in nothing else.
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

MOST_BASES: Final = 8
"""Names that one is taken for a variant of."""

PLAIN: Final = re.compile(r"[A-Za-z0-9._:@~+=,-]+(?:/[A-Za-z0-9._:@~+=,-]+)*", re.ASCII)

UNLISTED: Final = (
    r"(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/(?=[^/]+$)"
    r"|arn:aws[^:/]*:bedrock:[^:/]*:[^:/]*:(?:foundation-model|inference-profile)/(?=[^/]+$)"
)
"""Prefixes with a part that can be anything: a pattern that begins with one is read without it."""

PREFIX: Final = re.compile(rf"(?:https?://)?(?:registry\.ollama\.ai|ollama\.com)/|(?:models|library)/(?=[^/]+$)|{UNLISTED}")
"""What may stand before a name without changing which model it is."""

WILDCARDS: Final = frozenset("*?[")

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

DATED: Final = re.compile(r"-(?:latest|\d{4}-\d\d-\d\d|\d\d-\d{4}|\d{3,8}|v\d+)$")
TAGGED: Final = re.compile(r"(?:[:+][^:@+/]*|@[^@]*)$")
"""The end of a name that tells a variant: its date or version, and its tag, build or what else vendors append."""


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
    while (shorter := _shortened(found[-1])) != found[-1] and shorter and not shorter.endswith("/"):
        found.append(shorter)
    return [*found[:MOST_BASES], found[-1]]


def _shortened(name: str) -> str:
    without_date = DATED.sub("", name)
    return TAGGED.sub("", name) if without_date == name else without_date


def _prefixes(name: str) -> tuple[str, ...]:
    return BEFORE_ALL if "/" in name else BEFORE_ONE


# --- patterns ----------------------------------------------------------------------------------------------


def admits(pattern: str, named: Named) -> bool:
    """Whether a pattern of access means this model. Names of the site's own are compared as they are written."""
    if not named.provider:
        return fnmatchcase(named.name, pattern)
    names = [f"{named.provider}/{spelling}" for spelling in spellings(named.model)]
    return any(fnmatchcase(name, each) for each in _for_access(pattern) for name in names)


@lru_cache(8 * REMEMBERED)
def _for_access(pattern: str) -> tuple[str, ...]:
    """A pattern as it is compared: the provider's name as it stands, the model's in small letters."""
    provider, slash, model = pattern.partition("/")
    if not slash:
        return pattern, pattern.lower()
    lowered = model.lower()
    plain = re.sub(f"^(?:{UNLISTED})", "", lowered)
    # A prefix before a wildcard means a kind of models, which a wildcard alone would exceed.
    return tuple(f"{provider}/{each}" for each in {lowered, lowered if plain[:1] in WILDCARDS else plain})


@lru_cache(8 * REMEMBERED)
def covers(pattern: str, name: str) -> bool:
    """Whether a limit's pattern covers a name: a site's own, or `provider/model`. In doubt it does.

    A pattern without a provider means the model whoever serves it.
    """
    return any(fnmatchcase(each, wanted) for wanted in _for_limits(pattern) for each in _limited_names(name, "/" not in pattern))


def _for_limits(pattern: str) -> set[str]:
    provider, slash, model = pattern.lower().partition("/")
    return {pattern.lower(), f"{provider}{slash}{_stripped(model)}"}


def _limited_names(name: str, with_bare: bool) -> set[str]:
    """`with_bare`: also without the provider, and without the path that the model's name has there."""
    provider, slash, model = name.partition("/")
    if not slash:
        return {name.lower()}
    models = related(model)
    bare = {*models, *(each.rpartition("/")[2] for each in models)} if with_bare else set()
    return {name.lower(), *(f"{provider.lower()}/{each}" for each in models), *bare}
