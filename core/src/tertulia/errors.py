"""
Everything that can go wrong, as one tree.

::

    TertuliaError
    ├── ProviderError                  a provider failed: may be retried or answered by another
    │   ├── AuthenticationError            the key is wrong, revoked, …
    │   │   └── MissingKeyError            … or not there at all
    │   ├── PermissionDeniedError
    │   ├── QuotaExhaustedError
    │   ├── RateLimitError
    │   │   └── QueueFullError                 … of our own: no place became free in time
    │   ├── ModelNotFoundError
    │   ├── ContextLengthError             the provider says the prompt is too long
    │   ├── ContentFilteredError
    │   ├── InvalidRequestError
    │   │   └── UnsupportedParameterError
    │   │       └── UnsupportedMediaError      an attachment this provider does not take
    │   ├── TooLargeError                  a request or an answer beyond the size cap
    │   ├── ServerError
    │   │   └── OverloadedError
    │   ├── ConnectionFailedError
    │   ├── ProviderTimeoutError
    │   ├── ProtocolError                  the answer is not in the provider's own language
    │   ├── EmptyResponseError
    │   ├── StreamInterruptedError         the answer broke off after its first content
    │   └── AllProvidersFailed             every target of a send failed
    ├── ConfigurationError             what was asked for is not set up
    │   ├── UnknownProviderError
    │   └── DriverNotInstalledError
    ├── ConversationNotFoundError
    ├── ConversationBusyError          another send is under way on the branch
    ├── MessageNotFoundError
    ├── BranchError                    a branch cannot be what was asked
    │   ├── BranchNotFoundError
    │   ├── BranchExistsError
    │   └── BranchMovedError               its head is not where the caller believed
    ├── AttachmentError                a file cannot be attached: unreadable, unknown, too large
    ├── ContextOverflowError           what must be sent does not fit the budget
    ├── BudgetExceededError            a call might cost more than may be spent
    ├── DuplicateMessageError          another message has the same client_id
    ├── ToolError                      a function cannot be offered as a tool
    ├── ToolLoopError                  a model called tools more often than it may
    ├── InvalidOutputError             an answer has not the shape that was asked for
    ├── PluginError                    a plugin broke its contract
    │   └── PluginRejectedError            … and was refused at registration
    └── StoreError
        ├── StoreBusyError
        ├── StoreReadOnlyError
        ├── StoreVersionError
        ├── StoreCorruptError
        └── TransferError              a file cannot be imported or exported

Catch classes, or read :attr:`TertuliaError.kind`; never parse a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class ErrorKind(StrEnum):
    """
    The closed list of what an error means for the call that failed.

    What is retried and what falls back to another provider is decided by kind, in one table:
    ``tertulia.services.routing.policy``.
    """

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    SERVER = "server"
    OVERLOADED = "overloaded"
    PROTOCOL = "protocol"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    MODEL_NOT_FOUND = "model_not_found"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    UNSUPPORTED_PARAMETER = "unsupported_parameter"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    EMPTY_RESPONSE = "empty_response"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"
    BUDGET = "budget"
    PLUGIN = "plugin"
    STORE = "store"
    CONFIGURATION = "configuration"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"


class TertuliaError(Exception):
    """
    The root: every exception that leaves the library is one of these.

    Attributes:
        kind: What the error means, from the closed list.

        provider: The configured name of the provider concerned; None when none is.

        retryable: Whether the same call may succeed later without any change.

        retry_after: Seconds the provider asked to wait; None when it did not say.

        kept: What was stored in spite of the error, as a sentence; None when nothing was at stake.

        next_step: What to do about it, as a sentence; None when nothing can be done.

        attempts: The :class:`tertulia.Attempt` rows of the send that ended so, in order; empty elsewhere.
    """

    kind: ErrorKind = ErrorKind.INVALID_REQUEST
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        retry_after: float | None = None,
        kept: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.retry_after = retry_after
        self.kept = kept
        self.next_step = next_step
        self.attempts: Sequence[Any] = ()

    def __str__(self) -> str:
        said = (self.message, self.kept, self.next_step)
        return "; ".join(part.rstrip(".") for part in said if part)


class ProviderError(TertuliaError):
    """
    A provider failed.

    Attributes:
        model: The model that was asked for; None when the call names none.

        status: The HTTP status; None when no answer arrived.

        request_id: The provider's name for the call, for its support; None when it gave none.

        code: The provider's own machine code, unchanged; None when it gave none.

        usage: A :class:`tertulia.Usage` when tokens were charged in spite of the failure, else None.

        sent: Whether the request may have reached the provider; a call that never did costs nothing.
    """

    kind = ErrorKind.SERVER

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        kept: str | None = None,
        next_step: str | None = None,
        usage: Any = None,
        **extra: Any,
    ) -> None:
        super().__init__(
            message, provider=provider, retry_after=retry_after, kept=kept, next_step=next_step, **extra
        )
        self.model = model
        self.status = status
        self.request_id = request_id
        self.code = code
        self.usage = usage
        self.sent = True


class AuthenticationError(ProviderError):
    """The provider does not accept the key."""

    kind = ErrorKind.AUTHENTICATION


class MissingKeyError(AuthenticationError):
    """No key is configured for the provider; nothing was sent."""

    def __init__(self, message: str, **common: Any) -> None:
        super().__init__(message, **common)
        self.sent = False


class PermissionDeniedError(ProviderError):
    """The key is valid, but not for this model, region or operation."""

    kind = ErrorKind.PERMISSION


class QuotaExhaustedError(ProviderError):
    """Credit, spend limit or daily quota is used up: waiting a moment does not help."""

    kind = ErrorKind.QUOTA_EXHAUSTED


class RateLimitError(ProviderError):
    """Too many requests or tokens for now."""

    kind = ErrorKind.RATE_LIMITED
    retryable = True


class QueueFullError(RateLimitError):
    """
    No place became free in time under the limits of this client; nothing was sent.

    Attributes:
        queued_seconds: How long the call waited.
    """

    def __init__(self, message: str, *, queued_seconds: float = 0.0, **common: Any) -> None:
        super().__init__(message, **common)
        self.queued_seconds = queued_seconds
        self.sent = False


class ModelNotFoundError(ProviderError):
    """The provider does not know the model, or no longer."""

    kind = ErrorKind.MODEL_NOT_FOUND


class ContextLengthError(ProviderError):
    """
    The provider says the prompt is longer than the model's window.

    Attributes:
        limit: The window in tokens as the provider names it; None when it does not.

        requested: The tokens it counted; None when it does not say.
    """

    kind = ErrorKind.CONTEXT_LENGTH

    def __init__(
        self, message: str, *, limit: int | None = None, requested: int | None = None, **common: Any
    ) -> None:
        super().__init__(message, **common)
        self.limit = limit
        self.requested = requested


class ContentFilteredError(ProviderError):
    """
    The provider refused the prompt, or withheld the whole answer.

    Attributes:
        safety: A :class:`tertulia.SafetyOutcome`: stage, reason, ratings; None when an error body said it.
    """

    kind = ErrorKind.CONTENT_FILTER

    def __init__(self, message: str, *, safety: Any = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.safety = safety


class InvalidRequestError(ProviderError):
    """The provider does not accept the request as it is."""

    kind = ErrorKind.INVALID_REQUEST


class UnsupportedParameterError(InvalidRequestError):
    """
    The provider or the model does not take an option.

    Attributes:
        parameter: The option's name as the provider (or this framework) calls it; None when unnamed.
    """

    kind = ErrorKind.UNSUPPORTED_PARAMETER

    def __init__(self, message: str, *, parameter: str | None = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.parameter = parameter


class UnsupportedMediaError(UnsupportedParameterError):
    """
    An image that this provider or this model does not take, so nothing was sent to it.

    Attributes:
        media_type: What it is; None when nobody knows.
    """

    def __init__(self, message: str, *, media_type: str | None = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.media_type = media_type


class TooLargeError(ProviderError):
    """
    A request or an answer is larger than allowed.

    Attributes:
        side: ``"request"`` or ``"response"``: an answer too large may be had from another provider.
    """

    kind = ErrorKind.TOO_LARGE

    def __init__(self, message: str, *, side: str = "response", **common: Any) -> None:
        super().__init__(message, **common)
        self.side = side


class ServerError(ProviderError):
    """The provider failed inside."""

    kind = ErrorKind.SERVER
    retryable = True


class OverloadedError(ServerError):
    """The provider has no capacity right now."""

    kind = ErrorKind.OVERLOADED


class ConnectionFailedError(ProviderError):
    """The provider could not be reached, or the connection broke before any content."""

    kind = ErrorKind.CONNECTION
    retryable = True


class ProviderTimeoutError(ProviderError):
    """
    A timer ran out.

    Attributes:
        timer: ``"connect"``, ``"first_content"``, ``"idle"`` or ``"total"``.
    """

    kind = ErrorKind.TIMEOUT
    retryable = True

    def __init__(self, message: str, *, timer: str = "total", **common: Any) -> None:
        super().__init__(message, **common)
        self.timer = timer


class ProtocolError(ProviderError):
    """
    The answer cannot be read, or ended without the sign that it is whole.

    Attributes:
        is_cut: Whether all that came of it can be read, and the end is missing.
    """

    kind = ErrorKind.PROTOCOL
    retryable = True

    def __init__(self, message: str, *, is_cut: bool = False, **common: Any) -> None:
        super().__init__(message, **common)
        self.is_cut = is_cut


class EmptyResponseError(ProviderError):
    """The provider called its answer complete, and it holds nothing."""

    kind = ErrorKind.EMPTY_RESPONSE
    retryable = True


class StreamInterruptedError(ProviderError):
    """
    The answer broke off after content had been handed out; what was shown is stored.

    Attributes:
        kind: The cause: timeout, protocol, overloaded, …; ``interrupted`` where the answer just ended, or its
            connection did.

        partial: The stored :class:`tertulia.Message`, marked interrupted.

        can_resume: Whether the conversation can be continued from there.
    """

    kind = ErrorKind.INTERRUPTED

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind = ErrorKind.INTERRUPTED,
        partial: Any = None,
        can_resume: bool = True,
        **common: Any,
    ) -> None:
        super().__init__(message, **common)
        self.kind = kind
        self.partial = partial
        self.can_resume = can_resume


class AllProvidersFailed(ProviderError):  # noqa: N818  # reads as the event it is
    """
    Every target failed before any content.

    ``kind``, ``status`` and ``retry_after`` are those of the last failure; ``attempts`` has all of them.

    Attributes:
        errors: The failures, one for each attempt, in order: of the class :class:`ProviderError`, or a
            :class:`ContextOverflowError` of a target whose window is too small.
    """

    def __init__(self, message: str, *, errors: Sequence[TertuliaError] = (), **common: Any) -> None:
        super().__init__(message, **common)
        self.errors = tuple(errors)
        if errors:
            self.kind = errors[-1].kind
            self.retryable = any(error.retryable for error in errors)


class ConfigurationError(TertuliaError):
    """
    What was asked for is not set up, or set up wrongly.

    Attributes:
        value: The offending value; None when something is missing.
    """

    kind = ErrorKind.CONFIGURATION

    def __init__(self, message: str, *, value: object = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.value = value


class UnknownProviderError(ConfigurationError):
    """No provider is configured under the name."""


class DriverNotInstalledError(ConfigurationError):
    """The provider is configured, but no installed package brings its driver."""


class ConversationNotFoundError(TertuliaError):
    """
    The store has no such conversation for this owner.

    Attributes:
        conversation_id: What was looked for, as given.
    """

    kind = ErrorKind.NOT_FOUND

    def __init__(self, message: str, *, conversation_id: object = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.conversation_id = conversation_id


class ConversationBusyError(TertuliaError):
    """Another send is under way on the branch, in this process or another."""

    kind = ErrorKind.CONFLICT
    retryable = True


class MessageNotFoundError(TertuliaError):
    """
    The conversation has no such message.

    Attributes:
        message_id: What was looked for, as given.
    """

    kind = ErrorKind.NOT_FOUND

    def __init__(self, message: str, *, message_id: object = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.message_id = message_id


class BranchError(TertuliaError):
    """
    What was asked cannot be done with the branch.

    Attributes:
        branch: Its name.
    """

    kind = ErrorKind.CONFLICT

    def __init__(self, message: str, *, branch: str | None = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.branch = branch


class BranchNotFoundError(BranchError):
    """The conversation has no branch of that name."""

    kind = ErrorKind.NOT_FOUND


class BranchExistsError(BranchError):
    """The conversation already has a branch of that name."""


class BranchMovedError(BranchError):
    """
    The branch's head is not where the caller believed, so nothing was appended.

    Attributes:
        expected: The id of the message that was believed to be the newest; None for an empty branch.

        actual: The id of the message that is; None for an empty branch.
    """

    def __init__(
        self, message: str, *, expected: object = None, actual: object = None, **common: Any
    ) -> None:
        super().__init__(message, **common)
        self.expected = expected
        self.actual = actual


class AttachmentError(TertuliaError):
    """
    A file or an address cannot be attached to a message.

    Attributes:
        source: What was given, as text; never its content.
    """

    kind = ErrorKind.INVALID_REQUEST

    def __init__(self, message: str, *, source: str | None = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.source = source


class ContextOverflowError(TertuliaError):
    """
    What must be sent does not fit the budget, so nothing was sent.

    Attributes:
        budget: Tokens there are.

        parts: Tokens each part that must be kept needs, by name.
    """

    kind = ErrorKind.CONTEXT_LENGTH

    def __init__(
        self, message: str, *, budget: int = 0, parts: Mapping[str, int] | None = None, **common: Any
    ) -> None:
        super().__init__(message, **common)
        self.budget = budget
        self.parts = dict(parts or {})


class BudgetExceededError(TertuliaError):
    """
    A call might cost more than may be spent, so it was not made.

    Attributes:
        budget: The :class:`tertulia.Budget`; None for the budget of one send.

        limit: What may be spent, as :class:`tertulia.Money`.

        spent: What was spent, and is set aside for calls under way.

        needed: What the call may cost at most; None when nobody knows.

        account: The :class:`tertulia.Account` that has not so much left; None for the budget of one send.
    """

    kind = ErrorKind.BUDGET

    def __init__(
        self,
        message: str,
        *,
        budget: Any = None,
        limit: Any = None,
        spent: Any = None,
        needed: Any = None,
        account: Any = None,
        **common: Any,
    ) -> None:
        super().__init__(message, **common)
        self.budget = budget
        self.limit = limit
        self.spent = spent
        self.needed = needed
        self.account = account


class DuplicateMessageError(TertuliaError):
    """
    The conversation has a message with the same ``client_id``, so this one was not stored.

    Attributes:
        message_id: The id of the one it has.
    """

    kind = ErrorKind.CONFLICT

    def __init__(self, message: str, *, message_id: object = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.message_id = message_id


class ToolError(TertuliaError):
    """
    A function cannot be offered to a model, or its results do not fit what was called.

    Attributes:
        tool: Its name.
    """

    kind = ErrorKind.CONFIGURATION

    def __init__(self, message: str, *, tool: str | None = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.tool = tool


class ToolLoopError(TertuliaError):
    """
    A model called tools in as many answers as it may, and wants to call more.

    Attributes:
        reply: The last :class:`tertulia.Reply`; what it calls was not called.
    """

    kind = ErrorKind.BUDGET

    def __init__(self, message: str, *, reply: Any = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.reply = reply


class InvalidOutputError(TertuliaError):
    """
    An answer has not the shape that was asked for. It is stored, and was paid for, all the same.

    Attributes:
        reply: The :class:`tertulia.Reply` as it is.
    """

    kind = ErrorKind.PROTOCOL

    def __init__(self, message: str, *, reply: Any = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.reply = reply


class PluginError(TertuliaError):
    """
    A plugin raised, or answered something its hook does not allow.

    Attributes:
        plugin: The plugin's name; None when it cannot be told.

        hook: The hook concerned; None outside hooks.
    """

    kind = ErrorKind.PLUGIN

    def __init__(
        self, message: str, *, plugin: str | None = None, hook: str | None = None, **common: Any
    ) -> None:
        super().__init__(message, **common)
        self.plugin = plugin
        self.hook = hook


class PluginRejectedError(PluginError):
    """The plugin cannot be registered as it is."""


class StoreError(TertuliaError):
    """
    The store could not do what was asked.

    Attributes:
        location: The store's address without credentials; None when it has none.

        reply: The :class:`tertulia.Reply` that could not be stored; None when none was lost that way.
    """

    kind = ErrorKind.STORE

    def __init__(self, message: str, *, location: str | None = None, **common: Any) -> None:
        super().__init__(message, **common)
        self.location = location
        self.reply: Any = None


class StoreBusyError(StoreError):
    """Another process holds the database's write lock for longer than we wait."""

    retryable = True


class StoreReadOnlyError(StoreError):
    """The database cannot be written."""


class StoreVersionError(StoreError):
    """The database was written by a newer version; it was left untouched."""


class StoreCorruptError(StoreError):
    """The database is damaged; it was left untouched."""


class TransferError(StoreError):
    """
    A file could not be imported or exported: it cannot be read or written, or is not what it should be.

    Attributes:
        location: The file.

        problems: What is wrong in it, as :class:`tertulia.ImportProblem`; empty where nothing could be read.
    """

    def __init__(self, message: str, *, problems: Sequence[Any] = (), **common: Any) -> None:
        super().__init__(message, **common)
        self.problems = tuple(problems)
