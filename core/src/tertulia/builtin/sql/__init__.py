"""The default store: conversations in an SQL database."""
