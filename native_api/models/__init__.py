"""Everything the gateway stores."""

from native_api.models.catalog import ModelRoute, Provider, Target
from native_api.models.keys import ApiKey
from native_api.models.usage import DailyUsage, UsageRecord

__all__ = ["ApiKey", "DailyUsage", "ModelRoute", "Provider", "Target", "UsageRecord"]
