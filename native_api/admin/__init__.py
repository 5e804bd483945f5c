"""The admin, one module per subject. Importing a module registers what it holds."""

from native_api.admin import catalog, keys, limits, prices, rollups, usage

__all__ = ["catalog", "keys", "limits", "prices", "rollups", "usage"]
