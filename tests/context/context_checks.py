"""What must hold of every request, whatever was said before and whoever chose: problems, a sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from uuid import UUID

import attrs
from context_listeners import Heard
from context_translations import find_refusals
from context_worlds import Outcome, World

import tertulia
from tertulia import Message, MessageStatus, Role, Text, ToolCall, ToolResult
from tertulia.domain.media import Media
from tertulia.services.context.pairs import MISSING
from tertulia.services.path import KEPT_BACK

ROOM_OF_TOOLS = 120
"""More than the one tool of these worlds takes."""

ROOM_OF_A_NOTE = 40
"""More than what is said of an attachment that is not sent takes beside it, or its name where it is."""


def find_problems(world: World, outcome: Outcome, provider: tertulia.Provider) -> list[str]:
    """Say what is wrong with what became of a world."""
    asked = _Asked.make(world, outcome, provider)
    problems = [each for heard in outcome.heard for each in _check_request(asked, heard)]
    if outcome.error is not None:
        problems += _check_refusal(asked, outcome)
    if outcome.reply is not None:
        problems += _check_report(asked, outcome.reply.context, outcome.heard[-1])
    return problems


def is_visible(message: Message, world: World) -> bool:
    """Whether a model may see it: it was answered, is not hidden and has not expired."""
    mark, unanswered = message.mark, (MessageStatus.FAILED, MessageStatus.PENDING)
    if message.status in unanswered and message.role is not Role.TOOL:
        return False
    return not mark.hidden and (mark.expires_at is None or world.now < mark.expires_at)


@attrs.frozen
class _Asked:
    """
    A world, with what follows from it.

    Attributes:
        visible: What a model may see of the history, without the system's.

        held: Of that, what is pinned and what it cannot be sent without.
    """

    world: World
    newest: Message
    system: Sequence[Message]
    visible: Sequence[Message]
    held: Sequence[Message]
    weights: tertulia.TokenWeights

    @classmethod
    def make(cls, world: World, outcome: Outcome, provider: tertulia.Provider) -> _Asked:
        assert outcome.newest is not None
        seen = [message for message in world.history if is_visible(message, world)]
        visible = [message for message in seen if message.role is not Role.SYSTEM]
        return cls(
            world,
            outcome.newest,
            [message for message in seen if message.role is Role.SYSTEM],
            visible,
            list(_hold_together(visible, lambda message: message.mark.pinned)),
            provider.find_token_weights(world.talk.model),
        )

    def count(self, messages: Iterable[Message]) -> int:
        return tertulia.count_messages(messages, self.weights)


def _hold_together(visible: Sequence[Message], is_held: Callable[[Message], bool]) -> Iterator[Message]:
    """What is to be sent for its own sake, calls with their results, and what was asked before them."""
    groups: list[list[Message]] = []
    for message in visible:
        if message.role is Role.TOOL and groups:
            groups[-1].append(message)
        else:
            groups.append([message])
    opening: Message | None = None
    yielded: set[UUID | None] = set()
    for group in groups:
        if group[0].role is Role.USER:
            opening = group[0]
        if any(map(is_held, group)):
            held = (*((opening,) if opening else ()), *group)
            yield from (message for message in held if message.id not in yielded)
            yielded |= {message.id for message in held}


def _check_request(asked: _Asked, heard: Heard) -> Iterator[str]:
    messages, system = heard.messages, asked.system
    if messages[: len(system)] != tuple(system):
        yield "the system messages are not first, or not as they were"
    places = [place for place, message in enumerate(messages) if message.id == asked.newest.id]
    if len(places) != 1:
        yield f"the newest message is there {len(places)} times"
        return
    before, after = messages[len(system) : places[0]], messages[places[0] + 1 :]
    yield from _check_newest(asked, messages[places[0]], after)
    yield from _check_order(asked, before)
    yield from _check_pins(asked, before)
    yield from _check_pairs(messages)
    yield from _check_cut(asked, heard, before)
    limit = asked.world.options.max_tokens
    if limit is not None and heard.tokens > limit:
        yield f"{heard.tokens} tokens were sent, and {limit} are allowed"
    yield from find_refusals(asked.world.service, heard.body, [message.text for message in system])


def _check_newest(asked: _Asked, sent: Message, after: Sequence[Message]) -> Iterator[str]:
    own = asked.newest.parts
    if sent.parts[len(sent.parts) - len(own) :] != own or sent.role is not Role.USER:
        yield "the newest message does not end with what was said"
    if asked.world.options.recall == "never" and _without_summary(sent, asked).parts != own:
        yield "something is quoted, and nothing should be"
    if any(message.role not in (Role.ASSISTANT, Role.TOOL) for message in after):
        yield "somebody speaks after the newest message"
    if after and not asked.world.tools:
        yield "something follows the newest message"


def _check_order(asked: _Asked, before: Sequence[Message]) -> Iterator[str]:
    known = {message.id: message for message in asked.visible}
    depths = [message.depth for message in before if message.id is not None]
    if depths != sorted({depth for depth in depths if depth is not None}):
        yield f"the messages are out of order, or there twice: {depths}"
    hidden = {each.id for each in asked.world.history if each.role is Role.TOOL}
    for message in before:
        if message.id is None:
            if not _is_made_up(message):
                yield f"nobody said {message.text!r}"
        elif message.id not in known and message.id not in hidden:
            yield f"message {message.depth} should not be sent"
        elif message.role is Role.TOOL:
            yield from _check_results(asked, message)
        elif not _is_same(message, known[message.id], asked):
            yield f"message {message.depth} is not what was said"


def _is_made_up(message: Message) -> bool:
    return message.role is Role.TOOL and {MISSING} == {part.output for part in _results(message)}


def _results(message: Message) -> list[ToolResult]:
    return [part for part in message.parts if isinstance(part, ToolResult)]


def _without_summary(sent: Message, asked: _Asked) -> Message:
    """A message without the summary that its first words may be."""
    first = sent.parts[0] if sent.parts else None
    is_summed_up = isinstance(first, Text) and first.text.startswith("Summary of this conversation so far (")
    if is_summed_up and asked.world.options.strategy == "summary":
        return attrs.evolve(sent, parts=sent.parts[1:])
    return sent


def _is_same(sent: Message, said: Message, asked: _Asked) -> bool:
    """Whether it is as it was said, where a note may stand for what is attached."""
    sent = _without_summary(sent, asked)
    if (sent.role, sent.id, len(sent.parts)) != (said.role, said.id, len(said.parts)):
        return False
    return all(
        mine == theirs or (_is_media(theirs) and isinstance(mine, Text))
        for mine, theirs in zip(sent.parts, said.parts, strict=True)
    )


def _is_media(part: tertulia.Part) -> bool:
    return isinstance(part, Media)


def _check_results(asked: _Asked, sent: Message) -> Iterator[str]:
    """Results that came in several messages may be sent as one, and equal ones may be said once."""
    said = {
        (part.call_id, part.output)
        for message in asked.world.history
        if message.role is Role.TOOL
        for part in _results(message)
    }
    ids = {call_id for call_id, _ in said}
    for part in _results(sent):
        is_told = (part.call_id, part.output) in said or part.output in (MISSING, KEPT_BACK)
        if not is_told and (asked.world.options.optimise == "off" or part.call_id not in ids):
            yield f"no tool returned {part.output!r}"


def _check_pins(asked: _Asked, before: Sequence[Message]) -> Iterator[str]:
    ids = {message.id for message in before}
    answered = {part.call_id for message in before for part in _results(message)}
    called = {call.id for message in asked.held for call in message.tool_calls}
    for message in asked.held:
        if message.role is not Role.TOOL and message.id not in ids:
            yield f"message {message.depth} is pinned, or a call with pinned results, and was left out"
        if any(part.call_id in called - answered for part in _results(message)):
            yield f"a result in message {message.depth} is pinned, or of a pinned call, and was left out"


def _check_pairs(messages: Sequence[Message]) -> Iterator[str]:
    for place, message in enumerate(messages):
        following = messages[place + 1] if place + 1 < len(messages) else None
        if message.tool_calls and message.role is Role.ASSISTANT:
            results = [] if following is None or following.role is not Role.TOOL else _results(following)
            if [call.id for call in message.tool_calls] != [each.call_id for each in results]:
                yield f"calls of message {message.depth} are not answered right after it"
        if message.role is Role.TOOL and not (place and _calls(messages[place - 1])):
            yield f"results in message {message.depth} follow no call"


def _calls(message: Message) -> Sequence[ToolCall]:
    return message.tool_calls if message.role is Role.ASSISTANT else ()


def _check_cut(asked: _Asked, heard: Heard, before: Sequence[Message]) -> Iterator[str]:
    """All of it where it fits; else what is not held for its own sake opens on a user message."""
    options, tools = asked.world.options, ROOM_OF_TOOLS if asked.world.tools else 0
    missing = [message for message in asked.visible if message.role is not Role.TOOL]
    sent = {message.id for message in before}
    missing = [message for message in missing if message.id not in sent]
    whole = asked.count((*asked.system, *asked.visible, asked.newest)) + _count_missing(asked) + tools
    whole += ROOM_OF_A_NOTE * sum(any(map(_is_media, message.parts)) for message in asked.visible)
    fits = options.max_tokens is None or 2 * tools + whole <= options.max_tokens
    stubs = sum(message.role is Role.TOOL and message.mark.hidden for message in asked.world.history)
    few = options.max_messages is None or len(asked.visible) + stubs + 2 * bool(tools) < options.max_messages
    if missing and fits and few:
        yield f"all of it fits ({whole} tokens), and {len(missing)} messages were left out"
    if fits and few and not asked.world.tools and heard.messages[-1].parts != asked.newest.parts:
        yield "all of it fits, and something is quoted"
    held = {message.id for message in asked.held}
    if options.strategy == "important":
        held |= {
            message.id
            for message in _hold_together(asked.visible, lambda message: message.mark.importance is not None)
        }
    chosen = [message for message in before if message.role is not Role.TOOL and message.id not in held]
    if missing and chosen and not _may_begin(asked, chosen[0], held):
        yield f"what was chosen begins with a message of the {chosen[0].role}"
    if options.max_messages is not None and len(chosen) >= max(options.max_messages, 1):
        yield f"{len(chosen) + 1} messages were sent, and {options.max_messages} are allowed"


def _may_begin(asked: _Asked, message: Message, held: set[UUID | None]) -> bool:
    """Whether it is a user's, or follows what is not counted here because it is sent for its own sake."""
    place = [each.id for each in asked.visible].index(message.id)
    earlier = [each for each in asked.visible[:place] if each.role is not Role.TOOL]
    if message.role is Role.USER or not earlier:
        return message.role is Role.USER
    return earlier[-1].id in held


def _count_missing(asked: _Asked) -> int:
    """What may have to be said of calls that have no result: more than that is."""
    calls = [call for message in asked.visible for call in message.tool_calls]
    return sum(asked.count((Message(Role.TOOL, (call.result(KEPT_BACK + MISSING),)),)) for call in calls)


def _check_refusal(asked: _Asked, outcome: Outcome) -> Iterator[str]:
    """Nothing was sent, the message is kept, and what had to be sent was too much indeed."""
    error, limit = outcome.error, asked.world.options.max_tokens
    if not isinstance(error, tertulia.ContextOverflowError):
        yield f"{type(error).__name__}: {error}"
        return
    if outcome.heard:
        return  # what tools returned was too much; the first answer is stored
    if asked.newest.status is not MessageStatus.FAILED:
        yield f"the refused message is {asked.newest.status}"
    if limit is None:
        yield f"refused without a limit: {error}"
        return
    if sum(error.parts.values()) <= error.budget or error.budget > limit:
        yield f"{error.parts} would fit {error.budget} tokens of {limit}"
    calls = [call for message in asked.held for call in message.tool_calls]
    needed = asked.count((*asked.system, *asked.held, asked.newest))
    needed += sum(asked.count((Message(Role.TOOL, (call.result(KEPT_BACK + MISSING),)),)) for call in calls)
    if needed + (ROOM_OF_TOOLS if asked.world.tools else 0) <= limit:
        yield f"{needed} tokens were refused, and {limit} are allowed: {error}"


def _check_report(asked: _Asked, report: tertulia.ContextReport, heard: Heard) -> Iterator[str]:
    """What is said of a request is so."""
    if report.tokens != heard.tokens:
        yield f"the report says {report.tokens} tokens, and there are {heard.tokens}"
    if report.kept_count != len(heard.messages):
        yield f"the report says {report.kept_count} messages, and there are {len(heard.messages)}"
    if sum(report.parts.values()) != report.tokens:
        yield f"the parts {dict(report.parts)} are not {report.tokens} tokens together"
    limit = asked.world.options.max_tokens
    if limit is not None and (report.budget is None or report.budget > limit):
        yield f"the report says {report.budget} tokens were allowed, and {limit} were"
    recalled = [each.message_id for each in report.recalled]
    sent: set[UUID | None] = set(map(attrgetter("id"), heard.messages))
    if sent & set(recalled) or len(recalled) != len(set(recalled)):
        yield "something was recalled that is sent anyway, or twice"
    if not set(recalled) <= {message.id for message in asked.visible}:
        yield "something was recalled that should not be seen"
