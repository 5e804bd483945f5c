"""Anthropic's Messages API, at Anthropic and at Vertex AI."""
