"""One name for one model: how vendors read the names of models, and how patterns are compared with
them.

Rules:
1. Vendors take several spellings for one model. Here they are one for every provider, whichever
   vendor reads them so: a spelling that one vendor takes for a model names nothing at the others,
   and any server may stand behind a wire that many speak.
2. Capitals do not count. Some vendors ignore them (Ollama, Azure), the others know no two models
   that differ in nothing else.
3. What may cost or answer differently is a model of its own: a version, a tag, a region, `:free`.
   Limits on the plain name cover it too (`related`), since a limit must not be avoided by naming a
   variant; access and prices do not.
4. A name that a caller makes up must be plain (`is_plain`): nothing that a server could strip,
   decode or resolve.

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

REMEMBERED: Final = 512
"""Names, which callers make up as long as they like."""

MOST_BASES: Final = 8
"""Names that one is taken for a variant of."""

PLAIN: Final = re.compile(r"[A-Za-z0-9._:@~+=,-]+(?:/[A-Za-z0-9._:@~+=,-]+)*", re.ASCII)

PREFIX: Final = re.compile(
    r"(?:https?://)?(?:registry\.ollama\.ai|ollama\.com)/"
    r"|(?:models|library)/(?=[^/]+$)"
    r"|(?:projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/(?=[^/]+$)"
    r"|arn:aws[^:/]*:bedrock:[^:/]*:[^:/]*:(?:foundation-model|inference-profile)/(?=[^/]+$)"
)
"""What may stand before a name, or a pattern, without changing which model it is."""

LATEST: Final = ":latest"
"""The tag of an Ollama name that has none."""

REGION: Final = re.compile(r"^(?:us|us-gov|eu|apac|ap|jp|au|ca|sa|me|af|uk|in|kr|global)\.")
"""Of Amazon Bedrock's inference profiles."""

DATED: Final = re.compile(r"-(?:latest|\d{4}-\d\d-\d\d|\d\d-\d{4}|\d{3,8}|v\d+)$")
TAGGED: Final = re.compile(r"(?:[:+][^:@+/]*|@[^@]*)$")
"""The end of a name that tells a variant: its date or version, and its tag, build or what else
vendors append."""


class Named(NamedTuple):
    """What a request's `model` means: a name of the site's own, or `model` as the provider reads it
    where `provider` is set.

    `is_known` is False where nobody here knows such a name.
    """

    name: str
    provider: str = ""
    model: str = ""
    is_known: bool = True


def is_plain(model: str) -> bool:
    """Whether a name has only what every server reads as it stands: no spaces, escapes, empty steps
    or `..`."""
    return PLAIN.fullmatch(model) is not None and not any(
        step.strip(".") == "" for step in model.split("/")
    )


@lru_cache(REMEMBERED)
def canonical(model: str) -> str:
    """The one name of the model: `llama3` for `registry.ollama.ai/library/LLAMA3:latest`. For
    comparing, never for sending."""
    return _stripped(model.strip().lower()).removesuffix(LATEST)


def _stripped(name: str) -> str:
    while (found := PREFIX.match(name)) is not None and found.end() < len(name):
        name = name[found.end() :]
    return name


@lru_cache(REMEMBERED)
def related(model: str) -> frozenset[str]:
    """The canonical names of the model and of all that it is a variant of."""
    name = canonical(model)
    return frozenset([*_bases(name), *_bases(REGION.sub("", name))])


def _bases(name: str) -> list[str]:
    """`["a-2024-08-06:free", "a-2024-08-06", "a"]`; of very many, the first and the last."""
    found = [name]
    while (shorter := _shortened(found[-1])) != found[-1] and shorter and not shorter.endswith("/"):
        found.append(shorter)
    return [*found[:MOST_BASES], found[-1]]


def _shortened(name: str) -> str:
    without_date = DATED.sub("", name)
    return TAGGED.sub("", name) if without_date == name else without_date


# --- patterns ----------------------------------------------------------------------------------------------
#
# Patterns are read, never matched with spellings: `o*` must not mean every model, because each may
# be called `ollama.com/…`.


@lru_cache(8 * REMEMBERED)
def admits(pattern: str, named: Named) -> bool:
    """Whether a pattern of access means this model. Names of the site's own are compared as they
    are written."""
    if not named.provider:
        return fnmatchcase(named.name, pattern)
    name = canonical(named.model)
    provider, slash, model = pattern.partition("/")
    texts = (f"{provider}/{model.lower()}",) if slash else (pattern, pattern.lower())
    if any(fnmatchcase(f"{named.provider}/{name}", text) for text in texts):
        return True
    return bool(slash) and fnmatchcase(named.provider, provider) and _means(model.lower(), name)


def _means(pattern: str, name: str) -> bool:
    """Whether a pattern that may begin with a prefix, or end with a tag, means the model of this
    canonical name."""
    while (found := PREFIX.match(pattern)) is not None and found.end() < len(pattern):
        if not _may_have(found[0], name):
            return False
        pattern = pattern[found.end() :]
    return any(fnmatchcase(each, pattern) for each in _tagged(name, pattern))


def _may_have(prefix: str, name: str) -> bool:
    """Whether a model of this name has a spelling with this prefix."""
    if prefix.startswith("arn:"):
        return (REGION.match(name) is not None) == prefix.endswith("inference-profile/")
    return "/" not in name or "ollama." in prefix


def _tagged(name: str, pattern: str) -> tuple[str, ...]:
    """The name, and with the tag that it leaves out where the pattern tells one."""
    return (
        (name, f"{name}{LATEST}")
        if ":" in pattern and ":" not in name.rpartition("/")[2]
        else (name,)
    )


@lru_cache(8 * REMEMBERED)
def covers(pattern: str, name: str) -> bool:
    """Whether a limit's pattern covers a name: a site's own, or `provider/model`. In doubt it does.

    A pattern without a provider means the model whoever serves it.
    """
    lowered = pattern.lower()
    provider, slash, model = lowered.partition("/")
    wanted = {lowered, f"{provider}{slash}{_stripped(model)}"}
    return any(fnmatchcase(each, text) for text in wanted for each in _limited_names(name, lowered))


def _limited_names(name: str, pattern: str) -> set[str]:
    """Without a provider in the pattern, also those without it, and without the path that the
    model's name has there."""
    provider, slash, model = name.lower().partition("/")
    if not slash:
        return {provider}
    models = {model, *related(model), *_tagged(canonical(model), pattern)}
    bare = set() if "/" in pattern else {*models, *(each.rpartition("/")[2] for each in models)}
    return {*(f"{provider}/{each}" for each in models), *bare}
