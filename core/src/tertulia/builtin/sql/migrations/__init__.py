"""Alembic's revisions of the tables; imported only when a database is not at the newest one."""
