"""How a provider's key, or a token made from it, gets onto a request."""
