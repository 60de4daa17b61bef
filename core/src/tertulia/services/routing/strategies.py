"""Which target is asked first: by what a request costs, how fast it was, or what the request needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.context import NO_CONTEXT_OPTIONS
from tertulia.domain.conversation import Attempt, AttemptPurpose
from tertulia.domain.exchange import Request, Target
from tertulia.domain.media import Audio, Document, Image, Video
from tertulia.domain.message import Message, Role
from tertulia.domain.model import Capability
from tertulia.domain.routing import Strategy
from tertulia.services.asking import Outgoing
from tertulia.services.context.window import make_window
from tertulia.services.core import Core
from tertulia.services.estimating import TYPICAL_ANSWER, price_prompt
from tertulia.services.path import holds_media
from tertulia.services.questions import Question

_UNKNOWN = float("inf")
_FAR = 2  # what is stored and what a target counts may differ so much
_LAST_SAID = 1


async def arrange(core: Core, outgoing: Outgoing, question: Question) -> Sequence[Target]:
    """Put the targets of a send in the order its routing asks for."""
    routing = outgoing.routing
    targets = list(outgoing.targets)
    match routing.strategy:
        case Strategy.CHEAPEST:
            history = await _read_history(core, question, targets)
            return sort_cheapest(core, targets, outgoing, (*history, question.message))
        case Strategy.FASTEST:
            return sort_fastest(targets, core.health.latency)
        case Strategy.CAPABLE:
            history = await _read_history(core, question, targets)
            return sort_capable(core, targets, outgoing, (*history, question.message))
        case _:
            return targets


async def stick(
    core: Core, outgoing: Outgoing, question: Question, targets: Sequence[Target]
) -> Sequence[Target]:
    """
    Put first who answered last, where the routing is sticky and it is among the targets.

    In the configured order the answer must have stood in for who comes first now: else somebody has switched
    since, which is what they want.
    """
    if not outgoing.routing.sticky:
        return targets
    history = await _read_history(core, question, ())
    answers = (each for each in reversed(history) if each.role is Role.ASSISTANT)
    last = next(answers, None)
    if last is None:
        return targets
    target = Target(last.provider or "", last.model or "")
    if target == targets[0] or target not in targets:
        return targets
    if outgoing.routing.strategy is Strategy.CONFIGURED:
        attempts = await core.store.get_attempts(core.owner, question.tree.id)
        if not _stood_in(attempts, last, for_whom=outgoing.own or targets[0]):
            return targets
    return sorted(targets, key=lambda each: each != target)


def sort_fastest(targets: Iterable[Target], latency: Callable[[Target], float | None]) -> list[Target]:
    """Put who answered fastest first; who has not answered yet comes before them, so that it is known."""
    return sorted(targets, key=lambda target: latency(target) or 0.0)


def sort_cheapest(
    core: Core, targets: Iterable[Target], outgoing: Outgoing, messages: Sequence[Message]
) -> list[Target]:
    """Put first who would take least for these messages and an answer of usual length."""
    options = outgoing.options
    if options.max_output_tokens is None:
        options = attrs.evolve(options, max_output_tokens=TYPICAL_ANSWER)

    def price(target: Target) -> float:
        tokens = core.plugins.count_tokens(target, messages)
        high = price_prompt(core, Request(target, tuple(messages), options), tokens).high
        return _UNKNOWN if high is None else high.money.pico

    return sorted(targets, key=price)


def sort_capable(
    core: Core, targets: Iterable[Target], outgoing: Outgoing, messages: Sequence[Message]
) -> list[Target]:
    """Put first who can take most of what these messages, tools and shapes need."""
    kinds = {type(part) for message in messages for part in message.parts}

    def lack(target: Target) -> int:
        provider = core.plugins.get_provider(target.provider)
        needs = [
            *_find_needs(provider, target.model, kinds, outgoing),
            _has_room(core, target, outgoing, messages),
        ]
        return sum(not has for has in needs)

    return sorted(targets, key=lack)


def _find_needs(provider: Provider, model: str, kinds: set[type], outgoing: Outgoing) -> Iterable[bool]:
    """Whether each of the needs is met; where nobody knows, it is."""
    media = (
        (Image, provider.IMAGES, Capability.VISION),
        (Document, provider.DOCUMENTS, Capability.DOCUMENTS),
        (Audio, provider.AUDIO, Capability.AUDIO),
        (Video, provider.VIDEO, Capability.VIDEO),
    )
    for kind, limits, capability in media:
        if kind in kinds:
            yield limits is not None and _may(provider, model, capability)
    if outgoing.tools:
        yield "tools" in provider.OPTIONS and _may(provider, model, Capability.TOOLS)
    if outgoing.response_schema is not None:
        yield "response_schema" in provider.OPTIONS and _may(provider, model, Capability.STRUCTURED_OUTPUT)


def _has_room(core: Core, target: Target, outgoing: Outgoing, messages: Sequence[Message]) -> bool:
    """Whether all of the messages would be sent, with room left for the answer."""
    window = make_window(
        core.plugins.get_provider(target.provider).find_model(target.model),
        NO_CONTEXT_OPTIONS,
        max_output_tokens=outgoing.options.max_output_tokens,
        margin=core.calibration.margin(target, has_media=any(map(holds_media, messages))),
    )
    return window.max_tokens is None or core.plugins.count_tokens(target, messages) <= window.max_tokens


def _may(provider: Provider, model: str, capability: Capability) -> bool:
    info = provider.find_model(model)
    return info is None or info.capabilities is None or capability in info.capabilities


async def _read_history(core: Core, question: Question, targets: Sequence[Target]) -> Sequence[Message]:
    """
    What was said before the question, also where that has no place of its own yet.

    Of a long branch that is what was said last: more than any of the targets has room for.
    """
    newest, line = question.message, question.line
    if newest.depth is None:
        branch = await core.store.get_branch(core.owner, question.tree.id, line.name)
        newest = attrs.evolve(newest, parent_id=branch.head_id, depth=branch.head_depth + 1)
    path, place = line.path, (core, question.tree.id, line.name)
    await path.read(*place, newest)
    windows = [_find_size(core, target) for target in targets]
    if not targets:
        await path.read_messages(*place, _LAST_SAID)
    elif None in windows:
        await path.read_messages(*place, None)
    else:
        await path.read_back(*place, _FAR * max(filter(None, windows), default=0))
    return (*path.system, *path.messages)


def _find_size(core: Core, target: Target) -> int | None:
    info = core.plugins.get_provider(target.provider).find_model(target.model)
    return None if info is None else info.context_window


def _stood_in(attempts: Sequence[Attempt], answer: Message, *, for_whom: Target) -> bool:
    """Whether an answer came from somebody in the place of a target."""
    answers = [each for each in attempts if each.purpose is AttemptPurpose.ANSWER]
    until = [at for at, each in enumerate(answers) if each.message_id == answer.parent_id]
    if not until or not answers[until[-1]].is_fallback:
        return False
    at_home = (each for each in reversed(answers[: until[-1]]) if not each.is_fallback)
    home = next((Target(each.provider, each.model) for each in at_home), None)
    return home is None or home == for_whom  # who was passed over from the beginning has no attempt
