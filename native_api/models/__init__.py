"""The models of the gateway."""

from native_api.models.catalog import ModelRoute, Provider, Target
from native_api.models.keys import ApiKey
from native_api.models.limits import Budget, Limit, ModelAccess, Reservation
from native_api.models.maintenance import MaintenanceJob
from native_api.models.prices import PriceList
from native_api.models.responses import KeptResponse
from native_api.models.usage import DailyUsage, UsageRecord

__all__ = [
    "ApiKey",
    "Budget",
    "DailyUsage",
    "KeptResponse",
    "Limit",
    "MaintenanceJob",
    "ModelAccess",
    "ModelRoute",
    "PriceList",
    "Provider",
    "Reservation",
    "Target",
    "UsageRecord",
]
