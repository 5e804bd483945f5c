"""A throttle that does not count staff, and a view of the site that takes the gateway's keys."""

from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from native_api.authentication import ApiKeyAuthentication
from native_api.throttling import CallerThrottle


class StaffIsNotCounted(CallerThrottle):
    async def aallow_request(self, request, view):
        return request.user.is_staff or await super().aallow_request(request, view)


class ProfileView(APIView):
    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"user": request.user.get_username(), "key": request.auth.name})
