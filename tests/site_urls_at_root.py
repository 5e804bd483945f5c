"""A site whose whole address is the gateway's, but for what it names before."""

from django.urls import include, path

from tests.site_urls import page

urlpatterns = [
    path("own/page", page),
    path("", include("native_api.urls")),
]
