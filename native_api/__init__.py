"""A reusable Django app that turns a site into a gateway for language models.

Nothing is imported here: Django imports this package before its apps are ready. What a site may
import is in docs/reference.md.
"""

__version__ = "0.1.0"
"""The version of the package."""

__all__ = ["__version__"]
