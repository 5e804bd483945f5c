"""The project as a WSGI application: `gunicorn --worker-class gthread gatewayproject.wsgi`."""

import os

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewayproject.settings")

application = StaticFilesHandler(get_wsgi_application())
