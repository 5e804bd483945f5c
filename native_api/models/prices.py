"""Lists of published prices fetched by `manage.py native_update_prices`.

The newest one is used, in every process.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PriceList(models.Model):
    """`data` is JSON as text, exactly as fetched: a JSON column would be read back as floats."""

    fetched_at = models.DateTimeField(_("fetched at"))
    source = models.CharField(_("source"), max_length=500)
    data = models.TextField(_("data"))

    class Meta:
        verbose_name = _("price list")
        verbose_name_plural = _("price lists")
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.source} {self.fetched_at:%Y-%m-%d %H:%M}"
