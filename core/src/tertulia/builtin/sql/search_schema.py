"""
The tables that searching needs, which are not the same in every database.

They stand apart from the others: an index of words is no table that SQLAlchemy or Alembic knows.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from tertulia.builtin.sql.column_types import Moment, UUIDBytes

PREFIX = "search_"
"""What the names of these tables begin with, and those of the tables SQLite keeps for them."""

MOST_READ = literal_column("4000", Integer)
"""Characters of a text that its rank is found by."""

PENDING_KILOBYTES = 512
"""What of PostgreSQL's index of words may wait to be sorted in."""

sqlite_metadata = MetaData()
postgres_metadata = MetaData()

# Rows of the index are found by number only, and SQLite numbers rows anew when it vacuums unless the number
# is a column.
numbered_entry = Table(
    "search_entry",
    sqlite_metadata,
    Column("number", Integer, nullable=False),
    Column("owner_id", String(200), nullable=False),
    Column("conversation_id", UUIDBytes, nullable=False),
    Column("message_id", UUIDBytes),  # null: the title
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("number"),
)

words = Table(
    "search_words",
    MetaData(),
    Column("search_words", Text),  # the index itself: what is looked for in it, and what is to be done to it
    Column("rowid", Integer),
    Column("words", Text),
)

# It holds no text: what is in it can be made from titles and messages. That letters are ASCII leaves it to
# domain.terms what a word is. Where in a text a word is and how often does not matter: an index without it
# is written in half the time.
CREATE_WORDS = (
    "CREATE VIRTUAL TABLE search_words USING fts5(words, content='', tokenize='ascii', detail=none)"
)

entry = Table(
    "search_entry",
    postgres_metadata,
    Column("owner_id", String(200), nullable=False),
    Column("conversation_id", UUIDBytes, nullable=False),
    Column("id", UUIDBytes, nullable=False),  # the message's, or the conversation's where it is its title
    Column("message_id", UUIDBytes),  # null: the title
    Column("created_at", Moment, nullable=False),
    Column("words", TSVECTOR, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
)
# What was added last waits in a list that each lookup reads whole, for every word again. Of 4 MB, as a
# server lets it become, that takes 12 ms a word; of so little 2, and a message is added in 0.02 ms more.
Index(
    "search_entry_words",
    entry.c.words,
    postgresql_using="gin",
    postgresql_with={"gin_pending_list_limit": PENDING_KILOBYTES},
)
Index("search_entry_newest", entry.c.owner_id, entry.c.created_at, entry.c.id)


def create_search(connection: Connection) -> None:
    """Make the tables."""
    if connection.dialect.name == "postgresql":
        postgres_metadata.create_all(connection, checkfirst=False)
    else:
        sqlite_metadata.create_all(connection, checkfirst=False)
        connection.execute(text(CREATE_WORDS))
