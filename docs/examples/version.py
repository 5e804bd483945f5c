"""Say in logs which version is running."""

import native_api


def server_name():
    return f"mysite (django-native-api {native_api.__version__})"
