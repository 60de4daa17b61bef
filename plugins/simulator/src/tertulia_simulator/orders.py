"""What the test ordered of a service: what it says next, what it refuses, what it knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Generic, TypeVar

from tertulia_simulator.conversation import Offer, Thought
from tertulia_simulator.models import Model
from tertulia_simulator.recording import Json, as_object

ModelT = TypeVar("ModelT", bound=Model)


@dataclass(frozen=True)
class StoredFile:
    """A file that a service knows."""

    id: str
    media_type: str
    content: bytes
    name: str


@dataclass
class Line:
    """What is to be said next, and how many requests it still answers."""

    thought: Thought
    times: int


class Orders(Generic[ModelT]):
    """
    The orders of one service; safe to use from any thread.

    Args:
        models: The models it has as long as nobody says otherwise.
    """

    def __init__(self, models: Sequence[ModelT]) -> None:
        self._all_models: tuple[ModelT, ...] = tuple(models)
        self._lock = Lock()
        self._lines: deque[Line] = deque()
        self._saying: Thought | None = None
        self._refused: dict[str, int | None] = {}
        self.models: tuple[ModelT, ...] = self._all_models
        self.files: dict[str, StoredFile] = {}
        self.tokens_per_hop: int | None = None
        self.deferrals = 1

    def say(self, thought: Thought, times: int) -> None:
        """Let a thought follow those that wait."""
        if times < 1:
            raise ValueError(f"it is said once or more, not {times} times; to end it, call forget()")
        with self._lock:
            self._lines.append(Line(thought, times))

    def forget(self) -> None:
        """Say nothing of all that waits."""
        with self._lock:
            self._lines.clear()

    @contextmanager
    def saying(self, thought: Thought | None) -> Generator[None, None, None]:
        """Say this before all that waits, which goes on waiting; None is nothing of the kind."""
        self._saying = thought
        try:
            yield
        finally:
            self._saying = None

    def take(self, offer: Offer) -> Thought | None:
        """The thought for a request; one that calls tools waits for a request that offers some."""
        if self._saying is not None:
            return self._saying
        with self._lock:
            for line in self._lines:
                if not line.thought.calls or offer.callable_names:
                    line.times -= 1
                    if line.times <= 0:
                        self._lines.remove(line)
                    return line.thought
        return None

    def refuse(self, name: str, times: int | None) -> None:
        """Refuse requests with a parameter; None is all of them."""
        if times is not None and times < 1:
            raise ValueError(
                f"a parameter is refused once or more, not {times} times; to end it, call accept_parameter()"
            )
        with self._lock:
            self._refused[name] = times

    def accept(self, name: str) -> None:
        """Accept a parameter again."""
        with self._lock:
            self._refused.pop(name, None)

    def find_refused(self, body: Json) -> str | None:
        """The parameter for which to refuse a request; None where it has none that was named."""
        with self._lock:
            for name, times in self._refused.items():
                if has_parameter(body, name):
                    if times is not None:
                        self._refused[name] = times - 1
                    if times == 1:
                        del self._refused[name]
                    return name
        return None

    def set_models(self, ids: Sequence[str] | None) -> None:
        """Have these models alone; one that it never had is like the first. None is all it ever had."""
        if ids is None:
            self.models = self._all_models
            return
        known = {model.id: model for model in self._all_models}
        first = self._all_models[0]
        self.models = tuple(known[each] if each in known else replace(first, id=each) for each in ids)

    def remove_model(self, model_id: str) -> None:
        """Have a model no more."""
        if model_id not in [model.id for model in self.models]:
            raise ValueError(f"no model {model_id!r}; there are {', '.join(each.id for each in self.models)}")
        self.models = tuple(model for model in self.models if model.id != model_id)


def has_parameter(body: Json, name: str) -> bool:
    """Whether a body says something for a parameter; dots reach into objects."""
    *outer, last = name.split(".")
    for step in outer:
        body = as_object(body.get(step))
    return body.get(last) is not None
