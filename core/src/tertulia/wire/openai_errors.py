"""How OpenAI says no, and the servers that imitate it: Ollama, vLLM, llama.cpp, LM Studio, OpenRouter."""

from __future__ import annotations

from tertulia.errors import ErrorKind
from tertulia.wire.errors import ErrorRule, ErrorRules

_UNREADABLE_IMAGES = frozenset(
    {
        "invalid_image",
        "invalid_image_format",
        "invalid_base64_image",
        "invalid_image_url",
        "invalid_image_mode",
        "image_too_small",
        "image_parse_error",
        "unsupported_image_media_type",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
    }
)
"""Codes that come under status 200 as well, where there is nothing else to tell them by."""

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
    ErrorRule(
        ErrorKind.RATE_LIMITED, codes=frozenset({"rate_limit_exceeded", "rate_limit_error", "slow_down"})
    ),
    ErrorRule(
        ErrorKind.CONTEXT_LENGTH, codes=frozenset({"context_length_exceeded", "exceed_context_size_error"})
    ),
    ErrorRule(
        ErrorKind.CONTEXT_LENGTH,
        pattern="maximum context length|exceed the configured limit|context size has been exceeded"
        "|exceeds? (the )?(available )?context (length|size|window)",
    ),
    ErrorRule(
        ErrorKind.CONTENT_FILTER,
        codes=frozenset(
            {
                "content_policy_violation",
                "content_filter",
                "invalid_prompt",
                "image_content_policy_violation",
                "bio_policy",
                "misalignment_policy_violation",
            }
        ),
    ),
    ErrorRule(ErrorKind.INVALID_REQUEST, codes=_UNREADABLE_IMAGES),
    ErrorRule(ErrorKind.TOO_LARGE, codes=frozenset({"image_too_large", "image_file_too_large"})),
    ErrorRule(ErrorKind.TOO_LARGE, pattern="total image size is .* exceeds"),
    ErrorRule(ErrorKind.PERMISSION, codes=frozenset({"data_residency_mismatch"})),
    ErrorRule(ErrorKind.TIMEOUT, codes=frozenset({"vector_store_timeout"})),
    ErrorRule(ErrorKind.CONTENT_FILTER, pattern="rejected as a result of our safety system"),
    ErrorRule(ErrorKind.MODEL_NOT_FOUND, codes=frozenset({"model_not_found"})),
    ErrorRule(
        ErrorKind.MODEL_NOT_FOUND,
        pattern=r"model\b.{0,200}\bnot (found|exist)|(invalid|not a valid) model|no models loaded",
        statuses=frozenset({400, 404}),
    ),
    ErrorRule(
        ErrorKind.UNSUPPORTED_PARAMETER,
        codes=frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"}),
    ),
    ErrorRule(
        ErrorKind.UNSUPPORTED_PARAMETER,
        # The last are Groq's and, of servers that are written with pydantic, Mistral's and vLLM's.
        pattern="(unsupported|unknown) parameter: '|unrecognized request argument"
        r"|not supported with this model|property '\w+' is unsupported"
        "|extra inputs are not permitted|extra_forbidden",
        statuses=frozenset({400, 422, None}),
    ),
    ErrorRule(
        ErrorKind.OVERLOADED,
        codes=frozenset({"server_is_overloaded", "service_unavailable_error", "overloaded_error"}),
    ),
    ErrorRule(
        ErrorKind.OVERLOADED,
        pattern=r"\boverloaded|over capacity|high demand",
        statuses=frozenset({500, 502, 503, None}),
    ),
    ErrorRule(
        ErrorKind.PERMISSION, pattern="country, region, or territory not supported|ip .*not authorized"
    ),
    ErrorRule(ErrorKind.SERVER, codes=frozenset({"server_error"})),
    ErrorRule(
        ErrorKind.INVALID_REQUEST, codes=frozenset({"invalid_request_error"}), statuses=frozenset({None})
    ),
)
"""The first match decides. The type of a quota error may name another limit, so the code counts too."""
