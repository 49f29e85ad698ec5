"""Alembic's entry: run the versions on the connection that `storage.schema` hands over."""

from __future__ import annotations

from alembic import context

from rota.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
