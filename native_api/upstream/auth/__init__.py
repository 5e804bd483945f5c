"""How a provider's key, or a token made from it, gets onto a request."""

from native_api.upstream.auth.methods import Authorizer

__all__ = ["Authorizer"]
