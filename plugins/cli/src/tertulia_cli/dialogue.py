"""What a chat is about: the conversation, once there is one, and what goes with the next message."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import tertulia
from tertulia_cli.access import Access, take_up
from tertulia_cli.answers import title_of


class NothingSaidError(Exception):
    """What was asked for is about a conversation, and there is none yet."""


class Dialogue:
    """
    A conversation that begins with its first message, so that an empty one leaves nothing.

    Attributes:
        system: Instructions for whoever answers; None for none.

        title: What it is to be called; None for its first words.

        attached: What goes with the next message.

        context: How what is sent is chosen; None for what is set.

        explains: Whether to say what was sent for an answer.

        kept: What the store holds of what was asked for and interrupted, in words; None where an answer says
            so itself.
    """

    def __init__(self, client: tertulia.Client, access: Access, *, system: str | None = None) -> None:
        self.client = client
        self.system = system
        self.title: str | None = None
        self.attached: tuple[tertulia.Media, ...] = ()
        self.kept: str | None = None
        self.explains = access.explains
        self.context = access.context
        self._provider = access.provider
        self._model = access.model
        self._asking = access.asking()
        self._bounds = access.bounds()
        self._conversation: tertulia.Conversation | None = None

    @property
    def conversation(self) -> tertulia.Conversation:
        """
        The conversation.

        Raises:
            NothingSaidError: It has not begun.
        """
        if self._conversation is None:
            raise NothingSaidError("nothing was said yet, so there is no conversation; say something first")
        return self._conversation

    @property
    def has_begun(self) -> bool:
        """Whether there is a conversation."""
        return self._conversation is not None

    async def go_on(self, access: Access, branch: str | None) -> None:
        """Take up a stored conversation."""
        self._conversation = await take_up(self.client, access, branch)

    async def say(self, text: str) -> tertulia.ReplyStream:
        """Say something, and let what is attached go with it."""
        conversation = await self._begin(text)
        stream = conversation.stream(text, attach=self.attached, **self._asking)
        self.attached = ()
        return stream

    async def compare(self, text: str, targets: Sequence[str]) -> tertulia.ComparisonStream:
        """Say something to several targets at once, and let what is attached go with it."""
        conversation = await self._begin(text)
        stream = conversation.compare(text, targets, attach=self.attached, **self._bounds)
        self.attached = ()
        return stream

    async def _begin(self, text: str) -> tertulia.Conversation:
        if self._conversation is None:
            self._conversation = await self.client.start(
                self.title or title_of(text), provider=self._provider, model=self._model, system=self.system
            )
        return self._conversation

    def regenerate(self) -> tertulia.ReplyStream:
        """Ask for another answer to the last message."""
        return self.conversation.regenerate(**self._asking)

    def resume(self) -> tertulia.ReplyStream:
        """Ask for what is missing of the last answer."""
        return self.conversation.resume(**self._asking)

    def retry(self) -> tertulia.ReplyStream:
        """Ask the last message again that has no whole answer."""
        return self.conversation.retry(**self._asking)

    async def edit(self, text: str) -> tertulia.ReplyStream:
        """Say the last message differently, with the same files and what else is attached."""
        history = await self.conversation.history()
        said = [message for message in history if message.role is tertulia.Role.USER]
        if not said:
            raise NothingSaidError("there is no message of yours on this branch; say something first")
        files = [part for part in said[-1].parts if isinstance(part, tertulia.Media)]
        stream = self.conversation.edit(said[-1], text, attach=(*files, *self.attached), **self._asking)
        self.attached = ()
        return stream

    async def switch(self, provider: str, model: str | None) -> None:
        """Let somebody else answer from now on."""
        if self._conversation is not None:
            await self._conversation.switch(provider, model)
            return
        if provider not in self.client.providers:
            raise _unknown_provider(provider, self.client.providers)
        self._provider, self._model = provider, model

    async def fork(self, name: str | None) -> None:
        """Begin a branch here, and go there."""
        branch = await self.conversation.fork(name)
        await self.conversation.switch_branch(branch.branch)

    async def rename(self, title: str) -> None:
        """Change the title, also of what has not begun."""
        if self._conversation is not None:
            await self._conversation.rename(title)
        self.title = title


def _unknown_provider(name: str, known: list[str]) -> tertulia.UnknownProviderError:
    close = difflib.get_close_matches(name, known, n=1)
    return tertulia.UnknownProviderError(
        f"no provider is configured as {name!r}",
        value=name,
        next_step=f"did you mean {close[0]!r}?" if close else f"configured are: {', '.join(known)}",
    )
