"""API keys: making, rotating and ending them, and finding the one that a request carries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from native_api.access.keys.cache import KeyCache, cache
from native_api.access.keys.text import PREFIX_LENGTH, Shape, digest, generate, parse
from native_api.models import ApiKey
from native_api.types import Secret

__all__ = [
    "PREFIX_LENGTH",
    "KeyCache",
    "KeyEnded",
    "Shape",
    "cache",
    "create_key",
    "digest",
    "generate",
    "give_text",
    "parse",
    "revoke",
    "rotate",
]


class KeyEnded(ValueError):
    """The key is revoked or expired, or someone else has just rotated it."""


def give_text(key: ApiKey) -> Secret:
    """Give an unsaved row a prefix and a digest, and return the text they are of. It is not kept
    anywhere."""
    key.prefix, text = generate()
    key.digest = digest(text)
    return text


def create_key(owner: Any, name: str, **values: Any) -> tuple[ApiKey, Secret]:
    """A new key's row and its text. `values`: `allowed_models`, `rate`, `expires_at`. Raises
    ValidationError."""
    key = ApiKey(owner=owner, name=name, **values)
    text = give_text(key)
    key.full_clean()
    key.save(force_insert=True)
    return key, text


def rotate(key: ApiKey) -> Secret:
    """Replace the key's prefix and digest, and return the new text. Owner, models, rate and expiry
    stay.

    The old text stops working: at once in this process, within 5 seconds in the others. Raises
    KeyEnded.
    """
    if not key.is_active:
        raise KeyEnded(
            _("%(prefix)s is %(state)s. Create a new key instead.")
            % {"prefix": key.prefix, "state": key.state}
        )
    prefix, text = generate()
    changes = {"prefix": prefix, "digest": digest(text)}
    if not ApiKey.objects.filter(pk=key.pk, digest=key.digest, revoked_at=None).update(**changes):
        raise KeyEnded(_("%(prefix)s was revoked or rotated meanwhile.") % {"prefix": key.prefix})
    cache.forget(key)
    key.prefix, key.digest = prefix, changes["digest"]
    return text


def revoke(key: ApiKey, at: datetime | None = None) -> bool:
    """End the key for good, in every process within 5 seconds. False where it was revoked
    already."""
    moment = at or timezone.now()
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=moment):
        return False
    key.revoked_at = moment
    cache.forget(key)
    return True
