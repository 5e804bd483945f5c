"""The state of each job of maintenance: when it runs next, who runs it, and what the last run did.

Only `native_api.maintenance` writes this table.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from native_api.models.fields import MomentField


class MaintenanceJob(models.Model):
    """The state of one job of maintenance.

    The row is also the job's lease: the process `holder` runs it until `lease_expires_at`, which is
    null when nobody does. All moments are those of the database's clock.
    """

    name = models.CharField(_("job"), max_length=50, primary_key=True)
    due_at = MomentField(_("next due"))
    holder = models.CharField(_("process"), max_length=200, blank=True)
    lease_expires_at = MomentField(_("running until"), null=True, blank=True)
    finished_at = MomentField(_("last run"), null=True, blank=True)
    succeeded = models.BooleanField(_("succeeded"), null=True)
    result = models.CharField(_("result"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("maintenance job")
        verbose_name_plural = _("maintenance")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
