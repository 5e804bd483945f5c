"""The names in `provider_options`: providers, dialects and presets. Options under any other name
reach nobody, so they are refused."""

from __future__ import annotations

from collections.abc import Iterable

from native_api.catalog.catalog import Catalog
from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.exceptions import InvalidRequest
from native_api.inbound.checks import MAX_SHOWN, did_you_mean
from native_api.routing.route import Route


def check(names: Iterable[str], snapshot: Catalog, route: Route) -> None:
    """Raise InvalidRequest for a name that is neither a provider nor a dialect nor a preset."""
    for name in names:
        if name not in snapshot.providers and name not in DIALECTS and name not in PRESETS:
            shown = name[:MAX_SHOWN]
            hint = did_you_mean(shown, _public_names(route))
            raise InvalidRequest(
                f"provider_options.{shown}: neither a provider of this site nor a dialect or a "
                f"preset has this name{hint}",
                code="unknown_field",
                param=f"provider_options.{shown}",
            )


def _public_names(route: Route) -> list[str]:
    """The names that may be suggested. Of the site's providers only those of the route, which a
    caller learns from `x-native-provider`."""
    return [*(target.provider.name for target in route.targets), *DIALECTS, *PRESETS]
