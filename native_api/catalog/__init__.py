"""Providers, models and routes: presets, settings and rows, merged into one immutable catalog."""
