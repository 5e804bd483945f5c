"""Makes methods that read a provider's answer raise UpstreamError for every failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from native_api.exceptions import NativeError, UpstreamError

T = TypeVar("T")


def guard(read: Callable[..., T]) -> Callable[..., T]:
    """Make `read` raise UpstreamError for every failure.

    A reply of an unexpected shape is the provider's fault, not the gateway's.
    """

    @wraps(read)
    def guarded_read(*arguments: Any, **named: Any) -> T:
        try:
            return read(*arguments, **named)
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def guard_chunks(read: Callable[..., Iterable[T]]) -> Callable[..., list[T]]:
    """The same as `guard` for a method that yields chunks."""

    @wraps(read)
    def guarded_read(*arguments: Any) -> list[T]:
        try:
            return list(read(*arguments))
        except NativeError:
            raise
        except Exception as error:
            raise UpstreamError("The provider's answer cannot be understood.") from error

    return guarded_read


def guard_methods(cls: type, guarded: Callable[[Any], Any], *names: str) -> None:
    """Put `guarded` around those of these methods that the class itself defines."""
    for name in names:
        if name in cls.__dict__:
            setattr(cls, name, guarded(cls.__dict__[name]))
