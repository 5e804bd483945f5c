"""Responses that the gateway keeps for the caller that made them, and the ids of their items.

Only `native_api.gateway.kept_rows` writes these tables. What callers and models said is encrypted;
in clear text there is who, when, which model and how much.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from native_api.models.fields import MomentField


def delete_unread(collector: Any, field: Any, rows: models.QuerySet[Any], using: str) -> None:
    """CASCADE that reads nothing: a user may have a hundred thousand rows. So the pages of the
    admin that list what a deletion concerns do not list them."""
    if rows.model is KeptResponse:
        items = KeptItem._base_manager.using(using).filter(response__in=rows.order_by())
        collector.fast_deletes.append(items)
    collector.fast_deletes.append(rows)


delete_unread.lazy_sub_objs = True  # type: ignore[attr-defined]
"""Django does not read the rows to see whether there are any, as for SET_NULL."""


class KeptResponse(models.Model):
    """A response with the items of its turn.

    It belongs to a user, or to an API key if the caller has no user, and is deleted with it.
    `digest` is made of the caller and `response_id`, so callers cannot see, replace or block each
    other's. Some providers repeat their ids: then the newest row is meant. `ancestors` are the
    primary keys of the earlier turns of its conversation, the first one first; `history_bytes` is
    the JSON of the items of all these turns and its own. `items` are those of its turn, and
    `response` is the rest of the response, both encrypted.
    """

    digest = models.UUIDField(editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=delete_unread,
        db_index=False,
        related_name="+",
        verbose_name=_("user"),
    )
    api_key = models.ForeignKey(
        "native_api.ApiKey",
        null=True,
        on_delete=delete_unread,
        db_index=False,
        related_name="+",
        verbose_name=_("API key"),
        help_text=_("Only of a caller without a user."),
    )
    response_id = models.CharField(_("response id"), max_length=255)
    model = models.CharField(_("model"), max_length=200)
    created_at = MomentField(_("created at"))
    size = models.PositiveBigIntegerField(_("bytes"), help_text=_("What it takes in the database."))
    history_bytes = models.PositiveBigIntegerField()
    ancestors = models.JSONField(default=list)
    items = models.BinaryField()
    response = models.BinaryField()

    class Meta:
        verbose_name = _("kept response")
        verbose_name_plural = _("kept responses")
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["digest", "created_at"], name="native_kept_once")
        ]
        indexes = [
            models.Index(fields=["user", "id"], name="native_kept_user"),
            models.Index(fields=["api_key", "id"], name="native_kept_key"),
            models.Index(fields=["created_at"], name="native_kept_created"),
        ]

    def __str__(self) -> str:
        return f"{self.response_id} ({self.model})"


class KeptItem(models.Model):
    """Which response has the item of an id. `digest` is made of the caller and that id."""

    digest = models.UUIDField(editable=False)
    response = models.ForeignKey(
        KeptResponse, on_delete=delete_unread, related_name="item_ids", verbose_name=_("response")
    )

    class Meta:
        indexes = [models.Index(fields=["digest", "response"], name="native_kept_item")]
