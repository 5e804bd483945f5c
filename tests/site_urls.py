"""The site's URLs: the app under its conventional prefix, beside a view of the site's own."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


async def bare(request: HttpRequest) -> HttpResponse:
    """The least a Django view can do, to measure against."""
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("native/", include("native_api.urls")),
    path("bare", bare),
]
