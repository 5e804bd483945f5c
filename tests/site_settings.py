"""Settings of the site that the server processes of the tests run: the test site, configured by the
environment."""

import json
import os

from native_api.routing import circuit_states
from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.site_urls"
NATIVE_API = json.loads(os.environ["NATIVE_API"])
DEBUG = os.environ.get("DEBUG") == "1"
if "sqlite" in DATABASES["default"]["ENGINE"]:  # noqa: F405
    DATABASES["default"]["OPTIONS"] = {"timeout": 60, "transaction_mode": "IMMEDIATE"}  # noqa: F405
else:
    DATABASES["default"]["OPTIONS"] = {}  # noqa: F405
DATABASES["default"]["ATOMIC_REQUESTS"] = os.environ.get("ATOMIC_REQUESTS") == "1"  # noqa: F405
if os.environ.get("CACHE_URL", "").startswith("redis"):
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["CACHE_URL"],
            "KEY_PREFIX": os.environ.get("CACHE_PREFIX", ""),
        }
    }
elif os.environ.get("CACHE_URL"):
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": os.environ["CACHE_URL"],
        }
    }
if os.environ.get("COOL_DOWN"):
    # A test that watches circuits open and close has no half a minute for each.
    circuit_states.FIRST_COOL_DOWN_SECONDS = float(os.environ["COOL_DOWN"])  # type: ignore[misc]
MIDDLEWARE = [
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
WSGI_APPLICATION = "tests.site_wsgi.application"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "native_api.logs.JSONFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
}
globals().update(json.loads(os.environ.get("SITE_SETTINGS", "{}")))
