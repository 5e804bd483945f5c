"""What a caller may use. Patterns are those of `fnmatch`: `gpt-4o*`, `openai/*`. How they are
compared with names: `model_names`.

Rules:
1. A key's `allowed_models` narrow what its owner may use; they never widen it. An empty list
   narrows nothing.
2. A user may use what the rows of `ModelAccess` grant to the user or to one of the user's groups,
   all of them together. Whoever has no such row may use what `DEFAULT_MODEL_ACCESS` says; so may
   callers that are no users.
3. Django's permission `native_api.use_every_model`, given to a user or a group, grants all;
   superusers have it.
"""

from __future__ import annotations

from dataclasses import replace

from native_api.access import grants
from native_api.conf import native_settings
from native_api.limits import rules
from native_api.types import Caller
from native_api.types.model_names import Named, admits

EVERYTHING = ("*",)


async def resolved(caller: Caller) -> Caller:
    """The caller with groups and granted models filled in, where the site has anything that depends
    on them. Raises DatabaseUnavailable."""
    known = await rules.acurrent()
    default = tuple(native_settings.DEFAULT_MODEL_ACCESS)
    if not known.by_group and default == EVERYTHING:
        return caller
    if caller.user_id is None:
        return replace(caller, granted_models=default)
    found = await grants.user_grants(caller.user_id)
    return replace(caller, granted_models=found.granted_models, groups=found.groups)


def may_use(caller: Caller, named: Named) -> bool:
    """Whether a resolved caller may use this model, however its name is spelled
    (`Catalog.named`)."""
    return _allows(caller.allowed_models or EVERYTHING, named) and (
        caller.granted_models is None or _allows(caller.granted_models, named)
    )


def _allows(patterns: tuple[str, ...], named: Named) -> bool:
    return patterns == EVERYTHING or any(admits(pattern, named) for pattern in patterns)
