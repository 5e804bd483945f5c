"""The admin, the gateway, and one answer for everything else."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("native/", include("native_api.urls")),
]

handler404 = "native_api.views.not_found"
handler500 = "native_api.views.server_error"
