"""The site's URLs: the app under its conventional prefix, beside views of the site's own."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


async def bare(request: HttpRequest) -> HttpResponse:
    """The least a Django view can do, to measure against."""
    return HttpResponse(b"{}", content_type="application/json")


def page(request: HttpRequest) -> HttpResponse:
    """A synchronous view of the site's, in the gateway's neighbourhood."""
    return HttpResponse("a page")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("native/own/page", page),
    path("native/", include("native_api.urls")),
    path("bare", bare),
]
