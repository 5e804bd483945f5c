"""The admin, one module per subject. Importing a module registers what it holds."""

from native_api.admin import (
    catalog,
    daily_usage,
    keys,
    limits,
    maintenance,
    prices,
    responses,
    usage,
)

__all__ = [
    "catalog",
    "daily_usage",
    "keys",
    "limits",
    "maintenance",
    "prices",
    "responses",
    "usage",
]
