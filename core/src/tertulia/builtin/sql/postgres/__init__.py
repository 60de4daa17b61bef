"""PostgreSQL: what the store runs on when many processes share it."""
