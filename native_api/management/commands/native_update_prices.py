"""Fetches the newest list of published prices. Every process of the site uses it within a minute of
its next call."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import DatabaseError

from native_api.pricing import updates
from native_api.upstream.redaction import address_shown


class Command(BaseCommand):
    help = "Fetch the newest published prices of providers' models. Prices that the site tells itself are not touched."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url", help="Where to fetch them, by default where the package genai-prices does."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"] or updates.usual_address()
        try:
            count = updates.update(url)
        except updates.NoUpdate as error:
            raise CommandError(f"{error} The prices stay as they were.") from error
        except DatabaseError as error:
            raise CommandError(
                f"The database refuses the new prices ({type(error).__name__}). They stay as they were."
            ) from error
        self.stdout.write(f"Priced models: {count}, from {address_shown(url)}")
