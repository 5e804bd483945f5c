"""The app's configuration, and start-up work that must not use the database."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NativeApiConfig(AppConfig):
    name = "native_api"
    verbose_name = _("LLM gateway")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from native_api import (
            checks,  # noqa: F401  registers the system checks
            receivers,
        )
        from native_api.background import serving
        from native_api.limits import signals
        from native_api.maintenance.scheduler import scheduler
        from native_api.usage import recorder, recorder_thread, writer

        receivers.connect()
        writer.insert_hooks.append(signals.settle_and_notify)
        recorder_thread.idle_hooks.append(scheduler.run_if_due)
        # Records that killed processes have left are written when a server starts.
        serving.call_when_serving(recorder.start)
