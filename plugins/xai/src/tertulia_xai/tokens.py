"""
How xAI counts tokens besides those of words.

Each request has a prompt of xAI's own, of a length that differs from model to model: recorded with grok-4.3
as 192 tokens beside one message, and 194 beside two. Tools are more than their JSON. Nothing is published of
how images are counted.
"""

from __future__ import annotations

from tertulia import TokenWeights

WEIGHTS = TokenWeights(per_message=3, per_request=189, tools=1.25)
