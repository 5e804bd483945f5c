"""What pyproject.toml cannot say: links into this repository lead nowhere on PyPI, so there they
are absolute, below the project's URL `Source`, or the names of files if it has none."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINK = re.compile(r"\[([^\]]+)\]\((?![a-z]+:|#)([^)]+)\)")


def readme_for_pypi(text: str, source: str) -> str:
    replacement = rf"[\1]({source}/blob/main/\2)" if source else r"\1 (`\2`)"
    return LINK.sub(replacement, text)


if __name__ == "__main__":
    setup(
        long_description=readme_for_pypi(
            (ROOT / "README.md").read_text(), PROJECT.get("urls", {}).get("Source", "").rstrip("/")
        ),
        long_description_content_type="text/markdown",
    )
