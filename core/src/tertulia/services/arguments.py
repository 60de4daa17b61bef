"""What callers pass, held against what it may be before anything is stored or sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias, cast
from uuid import UUID

from tertulia.domain.budget import MOST_PICO
from tertulia.domain.context import STRATEGIES, ContextOptions, find_mistake
from tertulia.domain.exchange import Reply
from tertulia.domain.message import Message, ToolResult
from tertulia.domain.options import Options
from tertulia.domain.usage import Money
from tertulia.domain.words import name_type
from tertulia.errors import (
    ConfigurationError,
    ConversationNotFoundError,
    MessageNotFoundError,
    ToolError,
    UnknownProviderError,
)
from tertulia.runtime.attachments import Attachable
from tertulia.runtime.plugins import Plugins
from tertulia.services.checking import check_kind
from tertulia.services.context.guard import explain_strategy
from tertulia.services.questions import MAX_BRANCH_NAME
from tertulia.services.routing.targets import parse_target
from tertulia.services.steps import Plan
from tertulia.services.stream import NOTHING_SENT
from tertulia.services.structured import Schema, make_shape
from tertulia.services.tooling import AnyTool, Toolbox

MAX_TITLE = 200

Place: TypeAlias = Reply | Message | UUID
"""A message, however one got hold of it."""

Amount: TypeAlias = Money | Decimal | str | int
"""Money, or a number of US dollars."""

MAX_CLIENT_ID = 200
MAX_NAME = 200

ONE_STEP = Plan()


def make_plan(tools: Sequence[AnyTool], max_steps: int, schema: Schema | None) -> Plan:
    """Sort what a caller says of tools and shapes; nothing is sent where it cannot be meant."""
    check_type("max_steps", max_steps, int)
    if max_steps < 1:
        raise ConfigurationError(f"max_steps is at least 1, and not {max_steps}", value=max_steps)
    if not tools and schema is None:
        return ONE_STEP
    shape = None if schema is None else make_shape(schema)
    return Plan(Toolbox.of(tools), max_steps, shape)


def check_title(title: str | None) -> str | None:
    """Return a title fit to be stored; ConfigurationError when it is too long, or no text."""
    if title is not None:
        check_kind("a title", title, str)
    if title is not None and len(title) > MAX_TITLE:
        raise ConfigurationError(
            f"a title has at most {MAX_TITLE} characters, and this one has {len(title)}", value=title
        )
    return title or None


def check_target(provider: str | None, model: str | None) -> None:
    """Refuse names that no provider and no model can have; None is not said."""
    for what, name in (("provider", provider), ("model", model)):
        if name is None:
            continue
        check_kind(what, name, str)
        if len(name) > MAX_NAME:
            raise ConfigurationError(f"a {what}'s name has at most {MAX_NAME} characters", value=name)


def check_amount(amount: Amount | None) -> Money | None:
    """Return what may be spent; ConfigurationError where it is no amount of money above 0."""
    if amount is None:
        return None
    try:
        money = amount if isinstance(amount, Money) else Money.from_usd(amount)
    except (TypeError, ValueError) as error:
        raise _refuse_amount(amount) from error
    if isinstance(amount, bool) or not 0 < money.pico <= MOST_PICO:
        raise _refuse_amount(amount)
    return money


def _refuse_amount(amount: object) -> ConfigurationError:
    return ConfigurationError(
        f"budget is a number of dollars above 0, and not {amount!r}",
        value=amount,
        kept=NOTHING_SENT,
        next_step='write it as a text: "0.05"',
    )


def check_client_id(client_id: str | None) -> str | None:
    """Return a message's own name; ConfigurationError where it cannot be one."""
    if client_id is None:
        return None
    check_type("client_id", client_id, str)
    if not 0 < len(client_id) <= MAX_CLIENT_ID or "\0" in client_id:
        raise ConfigurationError(
            f"a client_id has 1 to {MAX_CLIENT_ID} characters, none of them null",
            value=client_id[:MAX_CLIENT_ID],
            kept=NOTHING_SENT,
        )
    return client_id


def check_branch_name(name: str) -> None:
    """Refuse a name that no branch can have."""
    if not name.strip() or len(name) > MAX_BRANCH_NAME:
        raise ConfigurationError(
            f"a branch's name has 1 to {MAX_BRANCH_NAME} characters, and this one has {len(name.strip())}",
            value=name,
        )


def check_type(name: str, value: object, kind: type) -> None:
    """Refuse what a type checker would, before it is stored: what it would break later is hard to find."""
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"{name} must be {name_type(kind)}, not {name_type(type(value))}",
            kept=NOTHING_SENT,
            next_step=f"pass tertulia.{kind.__name__}(…)" if kind.__module__.startswith("tertulia") else None,
        )


def check_results(results: Sequence[ToolResult]) -> tuple[ToolResult, ...]:
    """Refuse what are no results of calls."""
    if isinstance(cast("object", results), ToolResult | str | Mapping):
        raise ToolError(
            f"results is a list, and this is {name_type(type(results))}",
            kept=NOTHING_SENT,
            next_step="give one result for each call of the newest answer: [call.result(…)]",
        )
    return tuple(results)


def check_options(options: Options, providers: Collection[str]) -> None:
    """Refuse what are no options, and members that are for nobody."""
    check_type("options", options, Options)
    nobody = next((name for name in options.extra or () if name not in providers), None)
    if nobody is not None:
        raise UnknownProviderError(
            f"option 'extra' has members for {nobody!r}, and no provider is called so",
            value=nobody,
            kept=NOTHING_SENT,
            next_step=f"the configured providers are: {', '.join(sorted(providers))}",
        )


def check_context_options(options: ContextOptions, plugins: Plugins) -> ContextOptions:
    """
    Refuse what says nothing of a context, and values that it cannot have.

    Args:
        plugins: Where one chooses contexts, it may know strategies that are not built in.
    """
    check_type("context", options, ContextOptions)
    mistake = find_mistake(options)
    if mistake is not None:
        name, wanted = mistake
        value = getattr(options, name)
        raise ConfigurationError(
            f"context.{name} is {wanted}, and not {value!r}", value=value, kept=NOTHING_SENT
        )
    if options.strategy not in (None, *STRATEGIES) and not plugins.is_overridden("format_context"):
        raise explain_strategy(options.strategy)
    if options.summary_model is not None:
        _check_summary_model(options.summary_model, plugins)
    return options


def _check_summary_model(name: str, plugins: Plugins) -> None:
    try:
        parse_target(name, plugins)
    except UnknownProviderError as error:
        raise UnknownProviderError(
            f"context.summary_model is provider/model, and {error.message}",
            value=name,
            kept=NOTHING_SENT,
            next_step=error.next_step,
        ) from error


def check_text(text: str, attach: Attachable | Sequence[Attachable]) -> None:
    """Refuse a message that says nothing."""
    check_type("what is said", text, str)
    if not text.strip() and not attach:
        raise ConfigurationError("there is nothing to send: the message is empty", value=text)


def id_of(place: Place) -> UUID:
    """The id of a message, however one got hold of it; MessageNotFoundError where it has none."""
    message = place.message if isinstance(place, Reply) else place
    identifier = message.id if isinstance(message, Message) else message
    if identifier is not None and not isinstance(cast("object", identifier), UUID):
        raise MessageNotFoundError(
            f"{identifier!r} is no message",
            message_id=identifier,
            next_step="give a reply, a message of history(), or a message's id as a UUID",
        )
    if identifier is None:
        raise MessageNotFoundError(
            "the message is not stored, so it has no place in the conversation",
            message_id=None,
            next_step="take one that history() returns, or a reply",
        )
    return identifier


def read_id(conversation_id: UUID | str) -> UUID:
    """A conversation's id, also as text; ConversationNotFoundError where it is none."""
    if isinstance(conversation_id, UUID):
        return conversation_id
    try:
        return UUID(str(conversation_id))  # whatever is no id is not found, of whatever type it is
    except ValueError:
        raise ConversationNotFoundError(
            f"{conversation_id!r} is no conversation's id",
            conversation_id=conversation_id,
            next_step="an id looks like 0199a3c4-…; list the conversations there are",
        ) from None


def title_of(text: str) -> str:
    """The first words of a message, for a title."""
    first = " ".join(text.split())
    return first if len(first) <= 60 else f"{first[:59]}…"
