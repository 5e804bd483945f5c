"""Providers, models and routes: presets, settings and rows, merged into one immutable catalog."""

from native_api.catalog.presets import BaseURLVariable, Preset, local_server, openai_compatible

__all__ = ["BaseURLVariable", "Preset", "local_server", "openai_compatible"]
