"""Settings of a site that pages of another origin may call: those of the test site, with the lines
of docs/deployment.md at their end."""

from pathlib import Path

from tests.site_settings import *  # noqa: F403

DEPLOYMENT = Path(__file__).resolve().parent.parent / "docs" / "deployment.md"

exec(
    DEPLOYMENT.read_text()
    .split("## Browsers on other sites")[1]
    .split("```python\n")[1]
    .split("```")[0]
)
