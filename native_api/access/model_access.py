"""Which models a caller may use. `types.model_names` compares patterns with names.

Rules:
1. A key's `allowed_models` narrow what its owner may use; they never widen it. An empty list
   narrows nothing.
2. A user may use the models of all `ModelAccess` rows that name the user or one of the user's
   groups. Users without a row, and callers that are not users, fall back to
   `DEFAULT_MODEL_ACCESS`.
3. Django's permission `native_api.use_every_model`, given to a user or a group, grants every model;
   superusers have it.
"""

from __future__ import annotations

from dataclasses import replace

from native_api.access import grants
from native_api.conf import native_settings
from native_api.limits import rules
from native_api.types import Caller
from native_api.types.model_names import Named, admits

EVERY_MODEL = ("*",)


async def resolve_caller(caller: Caller) -> Caller:
    """The caller with `groups` and `granted_models` filled in, if the site uses either.

    Raises DatabaseUnavailable.
    """
    current_rules = await rules.acurrent()
    default = tuple(native_settings.DEFAULT_MODEL_ACCESS)
    if not current_rules.needs_groups and default == EVERY_MODEL:
        return caller
    if caller.user_id is None:
        return replace(caller, granted_models=default)
    user = await grants.user_grants(caller.user_id)
    return replace(caller, granted_models=user.granted_models, groups=user.groups)


def may_use(caller: Caller, model: Named) -> bool:
    """Whether a resolved caller may use this model, in any spelling of its name."""
    if not _admits_any(caller.allowed_models or EVERY_MODEL, model):
        return False
    return caller.granted_models is None or _admits_any(caller.granted_models, model)


def _admits_any(patterns: tuple[str, ...], model: Named) -> bool:
    return patterns == EVERY_MODEL or any(admits(pattern, model) for pattern in patterns)
