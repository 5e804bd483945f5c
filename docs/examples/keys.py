"""A key for a new member of staff, and the end of all keys of one who leaves."""

from datetime import timedelta

from django.utils import timezone

from native_api.access.keys import create_key, revoke
from native_api.models import ApiKey


def welcome(user):
    _, text = create_key(
        user,
        "laptop",
        allowed_models=["gpt-4o*"],
        throttle_rate="60/m",
        expires_at=timezone.now() + timedelta(days=90),
    )
    return text  # Show it now: only its digest is stored.


def say_goodbye(user):
    for key in ApiKey.objects.filter(owner=user, revoked_at=None):
        revoke(key)
