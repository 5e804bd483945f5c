"""The test site's URLs: the admin and the app under its conventional prefix."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("native/", include("native_api.urls")),
    path("admin/", admin.site.urls),
]
