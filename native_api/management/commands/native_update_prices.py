"""Fetches the newest list of published prices.

Every process of the site uses it from the first call after at most a minute.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import CommandError
from django.db import DatabaseError

from native_api.management.database_errors import DatabaseCommand
from native_api.pricing import updates
from native_api.upstream.redaction import redact_url


class Command(DatabaseCommand):
    help = (
        "Fetch the newest published prices of providers' models. "
        "Prices that you configured are not changed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url", help="The address of the list; by default that of the project genai-prices."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"] or updates.DEFAULT_URL
        try:
            count = updates.update(url)
        except updates.UpdateFailed as error:
            raise CommandError(f"{error} The prices are unchanged.") from error
        except DatabaseError as error:
            raise CommandError(
                f"The new prices could not be stored in the database ({type(error).__name__}). "
                "The prices are unchanged."
            ) from error
        self.stdout.write(f"Priced models: {count}, from {redact_url(url)}")
