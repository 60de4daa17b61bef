"""What all who hold one conversation in this process share."""

from __future__ import annotations

import asyncio
import weakref
from uuid import UUID

import attrs

from tertulia.domain.context import NO_CONTEXT_OPTIONS, ContextOptions
from tertulia.domain.conversation import Branch
from tertulia.services.path import Path
from tertulia.services.stream import Gate


# Compared by identity: there is one for each branch that somebody holds.
@attrs.define(eq=False)
class Line:
    """
    A branch: who answers on it, whose turn it is, and what was read of it.

    Attributes:
        branch: As it was last read or changed; its head may have moved since.

        aside: What was read of it by those who only look; they do so one at a time, as ``looking`` says.
    """

    branch: Branch
    gate: Gate = attrs.field(factory=Gate)
    path: Path = attrs.field(factory=Path)
    aside: Path = attrs.field(factory=Path, repr=False)
    looking: asyncio.Lock = attrs.field(factory=asyncio.Lock, repr=False)

    @property
    def name(self) -> str:
        """The branch's name."""
        return self.branch.name


@attrs.define(eq=False)
class Tree:
    """
    A conversation: its title, and those of its branches that somebody holds.

    Attributes:
        title: None when untitled.

        context: How its contexts are chosen.
    """

    id: UUID
    title: str | None
    context: ContextOptions = NO_CONTEXT_OPTIONS
    _is_titled: bool = False
    _lines: weakref.WeakValueDictionary[str, Line] = attrs.field(
        factory=weakref.WeakValueDictionary[str, Line], repr=False
    )

    def line(self, branch: Branch) -> Line:
        """Return the one line of a branch, which knows now what the store says."""
        line = self._lines.get(branch.name)
        if line is None:
            line = self._lines[branch.name] = Line(branch)
        line.branch = branch
        return line

    def claim_title(self) -> bool:
        """Whether nobody has asked for a title in this process yet; from now on somebody has."""
        claimed, self._is_titled = not self._is_titled, True
        return claimed

    def forget(self) -> None:
        """Let everything that was read of its branches be read again."""
        for line in self._lines.values():
            line.path, line.aside = Path(), Path()

    def rename(self, name: str, new_name: str) -> None:
        """Let whoever holds a branch know it under its new name."""
        line = self._lines.pop(name, None)
        if line is not None:
            line.branch = attrs.evolve(line.branch, name=new_name)
            self._lines[new_name] = line
