"""An endpoint of the site's own, with the gateway's keys, limits on requests and error format."""

from django.urls import path

from native_api.exceptions import NotFound
from native_api.views import NativeView


class WhoAmIView(NativeView):
    async def get(self, request):
        caller = await self.get_caller(request)
        if not caller.key_id:
            raise NotFound("This request was made without an API key.")
        return self.json({"user": caller.user_name, "key": caller.key_name})


urlpatterns = [path("native/v1/whoami", WhoAmIView.as_view())]
