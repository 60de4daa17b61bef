"""What an answer took: tokens in disjoint classes, and what else changes its price."""

from __future__ import annotations

from collections.abc import Mapping

from tertulia import Billing, Usage
from tertulia.wire import Json, read_count, read_list, read_object, read_text, read_texts, subtract_known


def parse_usage(usage: Json) -> Usage:
    """
    Read the token counts.

    ``promptTokenCount`` includes cached content and leaves out what built-in tools put into the prompt;
    ``candidatesTokenCount`` leaves thoughts out. A count of 0 is not sent.

    Returns:
        Disjoint counts. No usage object: all None. A missing detail is 0; a missing headline is what the
        total leaves for it, or None without a total.

    Source: ``GenerateContentResponseUsageMetadata`` of google-genai (read 2026-11), 194 recorded answers.
    """
    if not usage:
        return Usage()
    cached = read_count(usage, "cachedContentTokenCount") or 0
    thoughts = read_count(usage, "thoughtsTokenCount") or 0
    tools = read_count(usage, "toolUsePromptTokenCount") or 0
    prompt = read_count(usage, "promptTokenCount")
    answer = read_count(usage, "candidatesTokenCount")
    rest = subtract_known(read_count(usage, "totalTokenCount"), thoughts, tools)
    if prompt is None and answer is not None:
        prompt = subtract_known(rest, answer)
    elif answer is None and prompt is not None:
        answer = subtract_known(rest, prompt)
    return Usage(
        input_tokens=None if prompt is None else subtract_known(prompt + tools, cached),
        cache_read_tokens=cached,
        cache_write_tokens=0,
        output_tokens=answer,
        reasoning_tokens=thoughts,
    )


def parse_billing(usage: Json, grounding: Json) -> Billing:
    """
    Read what has a price of its own: the tier, sound, and searches.

    Args:
        usage: The usage object.
        grounding: ``groundingMetadata`` of the candidate; searches are counted nowhere else.
    """
    tier = read_text(usage, "serviceTier")
    cached = _count_audio(usage, "cacheTokensDetails")
    sent = _count_audio(usage, "promptTokensDetails") + _count_audio(usage, "toolUsePromptTokensDetails")
    return Billing(
        service_tier=None if tier is None else tier.lower(),
        raw=usage or None,
        audio_input_tokens=subtract_known(sent, cached),
        audio_cache_read_tokens=cached,
        tool_calls=_count_searches(grounding),
    )


def _count_audio(usage: Json, details: str) -> int:
    if details not in usage:
        return 0
    return sum(
        read_count(item, "tokenCount") or 0
        for item in read_list(usage, details)
        if item.get("modality") == "AUDIO"
    )


def _count_searches(grounding: Json) -> Mapping[str, int]:
    """Newer models pay by the query, those of 2.5 by the prompt that was answered with any."""
    if not grounding:
        return {}
    queries = len(read_texts(grounding, "webSearchQueries"))
    chunks = read_list(grounding, "groundingChunks")
    counts = {
        "google_search": queries,
        "grounded_prompt": int(queries > 0 or any(read_object(chunk, "web") for chunk in chunks)),
        "google_maps": int(any(read_object(chunk, "maps") for chunk in chunks)),
    }
    return {tool: count for tool, count in counts.items() if count}
