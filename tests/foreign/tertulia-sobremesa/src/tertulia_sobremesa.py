"""A provider by somebody else: a service that speaks Chat Completions."""

import tertulia


class Sobremesa(tertulia.ChatCompletionsProvider):
    BASE_URL = "https://api.sobremesa.example/v1"
    KEY_VARIABLES = ("SOBREMESA_API_KEY",)
    DEFAULT_MODEL = "sobremesa-large"
    PRICES = (
        tertulia.Price("sobremesa/2026-11", "sobremesa-large", tertulia.Rates.per_million("1", "2", "0", "0")),
    )
