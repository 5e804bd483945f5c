"""The project as an ASGI application: `uvicorn gatewayproject.asgi:application`."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewayproject.settings")

from native_api.asgi import get_asgi_application

application = get_asgi_application(ASGIStaticFilesHandler)
