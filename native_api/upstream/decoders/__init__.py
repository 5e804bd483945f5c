"""Bytes of a provider's stream -> events, for each framing."""
