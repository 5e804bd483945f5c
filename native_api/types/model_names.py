"""One name for one model: how vendors read model names, and how patterns are compared with them.

Rules:
1. Vendors accept several spellings of one model. Here all of them mean the same model for every
   provider, whichever vendor accepts them: a spelling that one vendor accepts means nothing to the
   others, and any server may stand behind a wire that many use.
2. Case is ignored. Some vendors ignore it (Ollama, Azure), and the others have no two models that
   differ only in case.
3. Whatever may cost or answer differently is a model of its own: a version, a tag, a region,
   `:free`. Limits on the plain name cover it too (`related`), because naming a variant must not
   bypass a limit; access and prices do not.
4. A name that a caller invents must be plain (`is_plain`): it contains nothing that a server could
   strip, decode or resolve.

Sources (read 2026-11): https://github.com/ollama/ollama/blob/main/types/model/name.go,
https://ai.google.dev/api/generate-content,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference,
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html,
https://openrouter.ai/docs/guides/routing/model-variants/overview.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, NamedTuple

CACHE_SIZE: Final = 512
"""Names. Bounded, because callers may send any number of different ones."""

MAX_BASE_NAMES: Final = 8
"""The most names that one name is a variant of."""

PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9._:@~+=,-]+(?:/[A-Za-z0-9._:@~+=,-]+)*", re.ASCII)

PATH_PREFIX: Final = re.compile(
    r"(?:https?://)?(?:registry\.ollama\.ai|ollama\.com)/"
    r"|(?:models|library)/(?=[^/]+$)"
    r"|(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/(?=[^/]+$)"
    r"|arn:aws[^:/]*:bedrock:[^:/]*:[^:/]*:(?:foundation-model|inference-profile)/(?=[^/]+$)"
)
"""Prefixes of a name or a pattern that do not change which model it means."""

DEFAULT_TAG: Final = ":latest"
"""The tag of an Ollama name without a tag."""

REGION_PREFIX: Final = re.compile(r"^(?:us|us-gov|eu|apac|ap|jp|au|ca|sa|me|af|uk|in|kr|global)\.")
"""The region of an Amazon Bedrock inference profile."""

DATE_SUFFIX: Final = re.compile(r"-(?:latest|\d{4}-\d\d-\d\d|\d\d-\d{4}|\d{3,8}|v\d+)$")
TAG_SUFFIX: Final = re.compile(r"(?:[:+][^:@+/]*|@[^@]*)$")
"""The ends of a name that name a variant: a date or version, and a tag, build or other addition."""


class Named(NamedTuple):
    """What a request's `model` means: a route of the site, or, if `provider` is set, `model` as
    that provider reads it.

    `is_known` is False if it means neither.
    """

    name: str
    provider: str = ""
    model: str = ""
    is_known: bool = True


def is_plain(model: str) -> bool:
    """Whether every server reads the name literally: it has no spaces, escapes, empty segments or
    `..`."""
    return PLAIN_NAME.fullmatch(model) is not None and not any(
        segment.strip(".") == "" for segment in model.split("/")
    )


@lru_cache(CACHE_SIZE)
def canonical(model: str) -> str:
    """The model's canonical name: `llama3` for `registry.ollama.ai/library/LLAMA3:latest`. It is
    for comparisons and never sent."""
    return _strip_prefixes(model.strip().lower()).removesuffix(DEFAULT_TAG)


def _strip_prefixes(name: str) -> str:
    while (match := PATH_PREFIX.match(name)) is not None and match.end() < len(name):
        name = name[match.end() :]
    return name


@lru_cache(CACHE_SIZE)
def related(model: str) -> frozenset[str]:
    """The canonical names of the model and of the models that it is a variant of."""
    name = canonical(model)
    return frozenset([*_base_names(name), *_base_names(REGION_PREFIX.sub("", name))])


def _base_names(name: str) -> list[str]:
    """`["a-2024-08-06:free", "a-2024-08-06", "a"]`; of very many names, the first ones and the
    last."""
    names = [name]
    while (base := _strip_suffix(names[-1])) != names[-1] and base and not base.endswith("/"):
        names.append(base)
    return [*names[:MAX_BASE_NAMES], names[-1]]


def _strip_suffix(name: str) -> str:
    without_date = DATE_SUFFIX.sub("", name)
    return TAG_SUFFIX.sub("", name) if without_date == name else without_date


# --- patterns ------------------------------------------------------------------------------------
#
# Patterns are compared with canonical names, never with spellings: `o*` must not mean every model,
# although each may be called `ollama.com/…`.


@lru_cache(8 * CACHE_SIZE)
def admits(pattern: str, named: Named) -> bool:
    """Whether a pattern of allowed models means this model. Names of routes are compared
    literally."""
    if not named.provider:
        return fnmatchcase(named.name, pattern)
    name = canonical(named.model)
    provider, slash, model = pattern.partition("/")
    texts = (f"{provider}/{model.lower()}",) if slash else (pattern, pattern.lower())
    if any(fnmatchcase(f"{named.provider}/{name}", text) for text in texts):
        return True
    return (
        bool(slash)
        and fnmatchcase(named.provider, provider)
        and _matches_model(model.lower(), name)
    )


def _matches_model(pattern: str, name: str) -> bool:
    """Whether a pattern, which may start with a prefix or end with a tag, means the model of this
    canonical name."""
    while (match := PATH_PREFIX.match(pattern)) is not None and match.end() < len(pattern):
        if not _can_have_prefix(match[0], name):
            return False
        pattern = pattern[match.end() :]
    return any(fnmatchcase(each, pattern) for each in _with_default_tag(name, pattern))


def _can_have_prefix(prefix: str, name: str) -> bool:
    """Whether a model of this name has a spelling with this prefix."""
    if prefix.startswith("arn:"):
        return (REGION_PREFIX.match(name) is not None) == prefix.endswith("inference-profile/")
    return "/" not in name or "ollama." in prefix


def _with_default_tag(name: str, pattern: str) -> tuple[str, ...]:
    """The name, and if the pattern has a tag and the name has none, the name with the default
    tag."""
    return (
        (name, f"{name}{DEFAULT_TAG}")
        if ":" in pattern and ":" not in name.rpartition("/")[2]
        else (name,)
    )


@lru_cache(8 * CACHE_SIZE)
def covers(pattern: str, name: str) -> bool:
    """Whether a limit's pattern covers a name: a route's, or `provider/model`. In doubt it does.

    A pattern without a provider means the model at every provider.
    """
    lowered = pattern.lower()
    provider, slash, model = lowered.partition("/")
    patterns = {lowered, f"{provider}{slash}{_strip_prefixes(model)}"}
    names = _limited_names(name, lowered)
    return any(fnmatchcase(each, text) for text in patterns for each in names)


def _limited_names(name: str, pattern: str) -> set[str]:
    """The names under which a limit may cover `name`. If the pattern has no provider, they include
    the model's names without the provider and without their path."""
    provider, slash, model = name.lower().partition("/")
    if not slash:
        return {provider}
    models = {model, *related(model), *_with_default_tag(canonical(model), pattern)}
    bare = set() if "/" in pattern else {*models, *(each.rpartition("/")[2] for each in models)}
    return {*(f"{provider}/{each}" for each in models), *bare}
