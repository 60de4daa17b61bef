"""How xAI says no."""

from __future__ import annotations

from tertulia import ErrorKind
from tertulia.wire import ErrorRule, ErrorRules
from tertulia.wire.openai_errors import ERROR_RULES as OPENAI_ERROR_RULES

CODES = {
    ErrorKind.AUTHENTICATION: frozenset(
        {"The request does not have valid authentication credentials", "unauthenticated"}
    ),
    ErrorKind.PERMISSION: frozenset(
        {"The caller does not have permission to execute the specified operation", "permission-denied"}
    ),
    ErrorKind.RATE_LIMITED: frozenset(
        {"Some resource has been exhausted", "resource-exhausted", "rate_limit", "rate-limited"}
    ),
    ErrorKind.OVERLOADED: frozenset({"unavailable"}),
    ErrorKind.TIMEOUT: frozenset({"Deadline expired before operation could complete", "deadline-exceeded"}),
    ErrorKind.SERVER: frozenset({"Internal error", "Unknown error", "internal"}),
}
"""Codes, of which most are what gRPC calls its statuses in words: under status 200 there is nothing else."""

INVALID_CODES = frozenset({"Client specified an invalid argument", "invalid-argument"})

ERROR_RULES: ErrorRules = (
    ErrorRule(ErrorKind.AUTHENTICATION, pattern="incorrect api key|no api key"),
    ErrorRule(
        ErrorKind.QUOTA_EXHAUSTED,
        # The last line that is searched is the code.
        pattern=r"doesn.t have any credits|used all available credits|spending.limit|\n.*blocked.*\Z",
    ),
    ErrorRule(ErrorKind.CONTEXT_LENGTH, pattern="maximum prompt length is"),
    ErrorRule(
        ErrorKind.CONTENT_FILTER,
        pattern="usage guidelines|safety check",
        statuses=frozenset({400, 403, None}),
    ),
    ErrorRule(
        ErrorKind.MODEL_NOT_FOUND,
        pattern="model.* does not exist|model.* not found|does not exist or your team",
    ),
    ErrorRule(
        ErrorKind.UNSUPPORTED_PARAMETER,
        pattern="does not support (parameter|'\\w+' value)|argument not supported",
    ),
    ErrorRule(ErrorKind.OVERLOADED, pattern="service is currently unavailable"),
    *(ErrorRule(kind, codes=codes) for kind, codes in CODES.items()),
    ErrorRule(ErrorKind.INVALID_REQUEST, codes=INVALID_CODES, statuses=frozenset({None})),
    *OPENAI_ERROR_RULES,
)
"""Words before codes: most errors are called an invalid argument, whatever they are."""
