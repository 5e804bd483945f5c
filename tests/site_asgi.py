import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.site_settings")

from native_api.asgi import get_asgi_application

application = get_asgi_application()

if os.environ.get("MAINTENANCE_CHECK_SECONDS"):
    from native_api.maintenance.scheduler import scheduler

    scheduler.check_seconds = float(os.environ["MAINTENANCE_CHECK_SECONDS"])
