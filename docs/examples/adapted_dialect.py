"""A vendor that speaks OpenAI's wire, except for one header."""

from native_api.dialects import OpenAI


class AcmeDialect(OpenAI):
    name = "acme"

    def headers(self, chat, target):
        return {**super().headers(chat, target), "x-acme-region": target.provider.options["region"]}
