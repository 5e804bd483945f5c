"""The admin, the gateway, and a 404 for everything else."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from native_api.views import not_found

urlpatterns = [
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("native/", include("native_api.urls")),
    re_path("", not_found),
]

handler400 = "native_api.views.bad_request"
handler404 = "native_api.views.not_found"
handler500 = "native_api.views.server_error"
