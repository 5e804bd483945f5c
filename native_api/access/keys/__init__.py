"""API keys: creation, rotation, revocation and lookup."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from native_api.access.keys.cache import cache
from native_api.access.keys.text import digest, generate
from native_api.models import ApiKey
from native_api.types import Secret

__all__ = ["KeyEnded", "create_key", "revoke", "rotate"]


class KeyEnded(ValueError):
    """The key is revoked or expired, or was rotated at the same time."""


def generate_into(key: ApiKey) -> Secret:
    """Set the prefix and digest of an unsaved row to a new key's, and return the key's text.

    The text is stored nowhere.
    """
    key.prefix, text = generate()
    key.digest = digest(text)
    return text


def create_key(owner: Any, name: str, **values: Any) -> tuple[ApiKey, Secret]:
    """Create a key: returns its row and its text. Raises ValidationError.

    `values` may be `allowed_models`, `throttle_rate`, `expires_at`.
    """
    key = ApiKey(owner=owner, name=name, **values)
    text = generate_into(key)
    key.full_clean()
    key.save(force_insert=True)
    return key, text


def rotate(key: ApiKey) -> Secret:
    """Replace the key's prefix and digest and return the new text. Raises KeyEnded.

    The old text stops working at once in this process and within 5 seconds in the others. The
    key's owner, models, rate and expiry stay.
    """
    if not key.is_active:
        raise KeyEnded(
            _("%(prefix)s is %(state)s. Create a new key instead.")
            % {"prefix": key.prefix, "state": key.state}
        )
    prefix, text = generate()
    changes = {"prefix": prefix, "digest": digest(text)}
    if not ApiKey.objects.filter(pk=key.pk, digest=key.digest, revoked_at=None).update(**changes):
        raise KeyEnded(
            _("%(prefix)s was revoked or rotated at the same time.") % {"prefix": key.prefix}
        )
    cache.forget(key)
    key.prefix, key.digest = prefix, changes["digest"]
    return text


def revoke(key: ApiKey, at: datetime | None = None) -> bool:
    """Revoke the key for good, in every process within 5 seconds.

    Returns False if it was revoked already.
    """
    moment = at or timezone.now()
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=moment):
        return False
    key.revoked_at = moment
    cache.forget(key)
    return True
