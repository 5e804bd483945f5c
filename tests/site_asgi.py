import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.site_settings")

from native_api.asgi import get_asgi_application

application = get_asgi_application()
