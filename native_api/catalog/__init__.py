"""Providers, models and routes: presets, settings and rows, merged into one immutable catalog."""

from native_api.catalog.presets import Preset, local_server, openai_compatible

__all__ = ["Preset", "local_server", "openai_compatible"]
