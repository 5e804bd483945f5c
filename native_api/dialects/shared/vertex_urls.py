"""URLs of a publisher's models on Vertex AI: in a Google Cloud project, at a location.

https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations (read 2026-11).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlsplit

from native_api.types import Target

VERSION: Final = re.compile(r"/v\d\w*(/|$)")
MULTI_REGIONS: Final = frozenset({"us", "eu"})


def build_publisher_url(target: Target, publisher: str) -> str:
    """Everything before `/models/NAME`.

    OPTIONS have the project and the location. The base URL may leave out the version.
    """
    options = target.provider.options
    location = quote(str(options.get("location") or "global"), safe="")
    base_url = _choose_host(target.provider.base_url, location)
    if not VERSION.search(urlsplit(base_url).path):
        base_url = f"{base_url}/{options.get('api_version') or 'v1'}"
    project = quote(str(options["project"]), safe="")
    return f"{base_url}/projects/{project}/locations/{location}/publishers/{publisher}"


def _choose_host(base_url: str, location: str) -> str:
    """The host of a location, or the base URL's if it is not Google's (a proxy, for example)."""
    if base_url and not (urlsplit(base_url).hostname or "").endswith("aiplatform.googleapis.com"):
        return base_url
    path = urlsplit(base_url).path
    if location in MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com{path}"
    prefix = "" if location == "global" else f"{location}-"
    return f"https://{prefix}aiplatform.googleapis.com{path}"
