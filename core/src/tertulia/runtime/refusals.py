"""What models refused, so that it is not sent to them again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

import attrs

from tertulia.domain.exchange import Request
from tertulia.errors import ProviderError, UnsupportedParameterError
from tertulia.runtime.serialization import encode_json
from tertulia.wire.protocol import Rendered
from tertulia.wire.refusals import find_refused, leave_out, read_member

_MOST = 1000

_Refusal: TypeAlias = tuple[str, str | None, str, bytes]
"""A model, how hard it was to think, where the member was, and its value; the last empty for any."""


class Refusals:
    """
    What the models of one provider refused.

    What the framework put into a request is left out from then on. What the caller asked for is left out
    only where that was allowed, and only where the same would be asked again: whether a model takes a
    temperature depends on how hard it is to think.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[_Refusal, None] = OrderedDict()

    def leave_out(self, rendered: Rendered, request: Request) -> Rendered:
        """Return the request without what is known to be refused; what was asked for is noted."""
        if not self._known:
            return rendered
        paths = [
            path
            for path in (*rendered.added, *rendered.asked)
            if _refusal(rendered, request, path) in self._known
            and (path in rendered.added or request.options.unsupported == "warn")
        ]
        notes = [
            f"option {rendered.asked[path]!r} was left out: {request.target} refused it"
            for path in paths
            if path in rendered.asked
        ]
        return (
            attrs.evolve(leave_out(rendered, paths), notes=(*rendered.notes, *notes)) if paths else rendered
        )

    def learn(self, error: ProviderError, rendered: Rendered, request: Request) -> bool:
        """Remember what an error refused, and say whether the request can go on without it."""
        if not isinstance(error, UnsupportedParameterError) or error.parameter is None:
            return False
        may_leave_out = request.options.unsupported == "warn"
        found = [
            path
            for path in find_refused(rendered, error.parameter)
            if path in rendered.added or may_leave_out
        ]
        for path in found:
            self._known[_refusal(rendered, request, path)] = None
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return bool(found)


def _refusal(rendered: Rendered, request: Request, path: str) -> _Refusal:
    model = request.target.model
    if path in rendered.added:
        return model, None, path, b""
    return model, request.options.reasoning_effort, path, encode_json(read_member(rendered.body, path))
