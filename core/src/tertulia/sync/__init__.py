"""
The blocking twin of the client: the same names, arguments, errors and values, without ``await``.

For scripts, for a REPL, and for code that runs inside somebody else's event loop, as in Jupyter: each
client works in a thread of its own.
"""

from tertulia.sync.client import Client, open  # noqa: A004  # as in `with tertulia.sync.open()`
from tertulia.sync.comparing import ComparisonStream
from tertulia.sync.conversation import Conversation
from tertulia.sync.stream import ReplyStream

__all__ = ["Client", "ComparisonStream", "Conversation", "ReplyStream", "open"]
