"""Settings of the test site: the app and what it needs, nothing else."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "a key for tests only, long enough to satisfy every check of Django's"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.urls"
DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get(
            "TEST_DATABASE_URL", f"sqlite:///{tempfile.gettempdir()}/native_api_tests.sqlite3"
        )
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Not in memory: Django never closes connections to such a database, and threads of tests leave
    # theirs behind.
    DATABASES["default"]["TEST"] = {
        "NAME": f"{tempfile.gettempdir()}/native_api_tests_{os.getpid()}.sqlite3"
    }
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF",
        "timeout": 60,
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # No test needs its rows after a crash.
    DATABASES["default"]["OPTIONS"] = {"options": "-c synchronous_commit=off"}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "native_api",
    "tests.patience.Patience",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
NATIVE_API = {"JOURNAL_DIR": Path(tempfile.gettempdir()) / f"native_api_tests_{os.getpid()}"}
atexit.register(shutil.rmtree, NATIVE_API["JOURNAL_DIR"], ignore_errors=True)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
