"""The driver: where OpenAI is, what it calls things, and how it says no."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tertulia import (
    Billing,
    Capability,
    Cost,
    ErrorKind,
    HTTPProvider,
    ModelInfo,
    ProviderReply,
    Request,
    Usage,
)
from tertulia.wire import (
    ErrorRule,
    ErrorRules,
    Rendered,
    StreamReader,
    read_count,
    read_list,
    read_object,
    read_text,
)
from tertulia.wire.responses import OPTIONS, Dialect, ResponsesStream, parse_response, render_request
from tertulia_openai.models import DEFAULT_MODEL, MODELS, PRICES

ERROR_RULES: ErrorRules = (
    ErrorRule(ErrorKind.AUTHENTICATION, codes=frozenset({"invalid_api_key"})),
    ErrorRule(
        ErrorKind.QUOTA_EXHAUSTED,
        codes=frozenset(
            {
                "insufficient_quota",
                "credit_balance_exhausted",
                "billing_hard_limit_reached",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
            }
        ),
    ),
    ErrorRule(ErrorKind.RATE_LIMITED, codes=frozenset({"rate_limit_exceeded", "slow_down"})),
    ErrorRule(ErrorKind.CONTEXT_LENGTH, codes=frozenset({"context_length_exceeded"})),
    ErrorRule(ErrorKind.CONTEXT_LENGTH, pattern="maximum context length|exceed the configured limit"),
    ErrorRule(
        ErrorKind.CONTENT_FILTER,
        codes=frozenset(
            {
                "content_policy_violation",
                "invalid_prompt",
                "image_content_policy_violation",
                "bio_policy",
                "misalignment_policy_violation",
            }
        ),
    ),
    ErrorRule(ErrorKind.CONTENT_FILTER, pattern="rejected as a result of our safety system"),
    ErrorRule(ErrorKind.MODEL_NOT_FOUND, codes=frozenset({"model_not_found"})),
    ErrorRule(
        ErrorKind.UNSUPPORTED_PARAMETER, codes=frozenset({"unsupported_parameter", "unsupported_value"})
    ),
    ErrorRule(ErrorKind.UNSUPPORTED_PARAMETER, pattern="unsupported parameter: '"),
    ErrorRule(ErrorKind.OVERLOADED, codes=frozenset({"server_is_overloaded", "service_unavailable_error"})),
    ErrorRule(
        ErrorKind.PERMISSION, pattern="country, region, or territory not supported|ip .*not authorized"
    ),
    ErrorRule(ErrorKind.SERVER, codes=frozenset({"server_error"})),
)
"""The first match decides. The type of a quota error may name another limit, so the code counts too."""


class OpenAIProvider(HTTPProvider):
    """
    OpenAI over the Responses API, stateless: nothing is kept at OpenAI.

    Settings: ``organization`` and ``project``, sent as headers.
    """

    BASE_URL: ClassVar[str] = "https://api.openai.com/v1"
    DEFAULT_MODEL = DEFAULT_MODEL
    KEY_VARIABLES = ("AI_OPENAI_API_KEY", "OPENAI_API_KEY")
    OPTIONS = OPTIONS
    SETTINGS = frozenset({"organization", "project"})
    MODELS = MODELS
    PRICES = PRICES
    ERROR_RULES = ERROR_RULES

    def render_headers(self) -> dict[str, str]:
        """The organisation and the project, where they are set."""
        names = {"organization": "openai-organization", "project": "openai-project"}
        return {
            header: str(self.config.settings[name])
            for name, header in names.items()
            if name in self.config.settings
        }

    def get_path(self, request: Request) -> str:
        """One path for all models."""
        return "/responses"

    def render_request(self, request: Request) -> Rendered:
        """Render a Responses request."""
        reasons = self.can(request.target.model, Capability.REASONING)
        return render_request(request, Dialect(), encrypted_reasoning=reasons)

    def parse_reply(self, body: Any, request: Request) -> ProviderReply:
        """Read a whole Responses answer."""
        return parse_response(read_object(body), self.name)

    def read_stream(self, request: Request) -> StreamReader:
        """Read a stream of Responses events."""
        return ResponsesStream(self.name)

    async def list_models(self) -> Sequence[ModelInfo]:
        """List the models of the key; OpenAI names no limits, so those come from the bundled table."""
        body = await self.get_json("/models", member="data")
        return [
            self.describe(identifier)
            for item in read_list(body, "data")
            if (identifier := read_text(item, "id"))
        ]

    def calculate_cost(self, model: str, usage: Usage, billing: Billing, at: datetime) -> Cost | None:
        """
        Price by the dated rows.

        Returns:
            None also for what no row prices: tokens cached for 12 hours, and the hosts of a region.
        """
        if self._is_regional or read_count(billing.raw, "input_tokens_details", "ttl_12h_tokens"):
            return None
        return super().calculate_cost(model, usage, billing, at)

    @property
    def _is_regional(self) -> bool:
        """Whether data stays in a region (``eu.api.openai.com``), for which some models cost 10 % more."""
        return (urlsplit(self.base_url).hostname or "").endswith(f".{urlsplit(self.BASE_URL).hostname}")
