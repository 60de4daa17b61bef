"""How Google says no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tertulia_simulator.faults import Fault
from tertulia_simulator.recording import Json, RecordedRequest
from tertulia_simulator.services.service import Answer, RefusedError

JSON_TYPE = "application/json; charset=UTF-8"
TYPE_URL = "type.googleapis.com/google.rpc"
SERVICE = "generativelanguage.googleapis.com"


def refuse_fields(problems: list[tuple[str, str]]) -> RefusedError:
    """Refuse a request for the fields in it, all at once: the place of each and what is wrong there."""
    violations = [
        {"field": place, "description": problem} if place else {"description": problem}
        for place, problem in problems
    ]
    details: list[Json] = [{"@type": f"{TYPE_URL}.BadRequest", "fieldViolations": violations}]
    return invalid_argument("\n".join(problem for _, problem in problems), details)


def invalid_argument(message: str, details: list[Json] | None = None) -> RefusedError:
    """Refuse a request for what it says."""
    return RefusedError(render_error(400, "INVALID_ARGUMENT", message, details))


def refuse_file(uri: str) -> RefusedError:
    """Refuse a file that was never uploaded, or is gone."""
    name = uri.rpartition("/")[2]
    message = f"You do not have permission to access the File {name} or it may not exist."
    return RefusedError(render_error(403, "PERMISSION_DENIED", message))


def render_error(code: int, status: str, message: str, details: list[Json] | None = None) -> Answer:
    """Render an error as all of Google's services do."""
    error: Json = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = details
    return Answer({"error": error}, code, content_type=JSON_TYPE)


def render_wrong_key() -> Answer:
    """Refuse a key that is not one."""
    message = "API key not valid. Please pass a valid API key."
    details: list[Json] = [
        {
            "@type": f"{TYPE_URL}.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": SERVICE},
        },
        {"@type": f"{TYPE_URL}.LocalizedMessage", "locale": "en-US", "message": message},
    ]
    return render_error(400, "INVALID_ARGUMENT", message, details)


def render_quota(request: RecordedRequest, fault: Fault, quota: str) -> Answer:
    """Refuse a request over a quota, which only its ``quotaId`` tells to be a minute's or a day's."""
    metric = f"{SERVICE}/generate_content_free_tier_requests"
    model = request.endpoint[-1].partition(":")[0]
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more information "
        "on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. \n"
        f"* Quota exceeded for metric: {metric}, limit: 10, model: {model}"
    )
    if fault.words:
        message += f"\nPlease retry in {fault.retry_after:g}s."
    link = {
        "description": "Learn more about Gemini API quotas",
        "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
    }
    violation = {
        "quotaMetric": metric,
        "quotaId": quota,
        "quotaDimensions": {"model": model, "location": "global"},
        "quotaValue": "10",
    }
    details: list[Json] = [
        {"@type": f"{TYPE_URL}.Help", "links": [link]},
        {"@type": f"{TYPE_URL}.QuotaFailure", "violations": [violation]},
    ]
    if fault.hint in (None, "details"):
        details.append({"@type": f"{TYPE_URL}.RetryInfo", "retryDelay": f"{fault.retry_after:g}s"})
    return replace(render_error(429, "RESOURCE_EXHAUSTED", message, details), headers=fault.headers)


def render_no_model(version: str, name: str, method: str | None) -> Answer:
    """Refuse a model that is not there, or not for that method; None is any."""
    message = f"Model is not found: models/{name} for api version {version}"
    if method is not None:
        message = (
            f"models/{name} is not found for API version {version}, or is not supported for {method}. "
            "Call ModelService.ListModels to see the list of available models and their supported methods."
        )
    return render_error(404, "NOT_FOUND", message)


OVERLOADED = "The model is overloaded. Please try again later."
REFUSALS: Mapping[str, Answer] = {
    "permission": render_error(403, "PERMISSION_DENIED", "The caller does not have permission"),
    "unknown_parameter": refuse_fields(
        [("", 'Invalid JSON payload received. Unknown name "weather": Cannot find field.')]
    ).answer,
    "context_length": render_error(
        400,
        "INVALID_ARGUMENT",
        "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "request_too_large": render_error(
        400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."
    ),
    "server_error": render_error(500, "INTERNAL", "An internal error has occurred. Please retry."),
    "bad_gateway": render_error(502, "UNKNOWN", "Bad gateway."),
    "unavailable": replace(render_error(503, "UNAVAILABLE", OVERLOADED), headers={"retry-after": "0"}),
    "gateway_timeout": render_error(504, "DEADLINE_EXCEEDED", "The request timed out. Please try again."),
    "overloaded_529": render_error(529, "UNAVAILABLE", OVERLOADED),
    "error_array": Answer(
        [{"error": {"code": 503, "message": OVERLOADED, "status": "UNAVAILABLE"}}],
        503,
        content_type=JSON_TYPE,
    ),
}
"""Those refusals that are the same whatever was asked."""
