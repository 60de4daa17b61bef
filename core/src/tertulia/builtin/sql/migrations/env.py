"""Where Alembic enters: the store hands over its connection, inside its own transaction."""

from alembic import context

from tertulia.builtin.sql.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
