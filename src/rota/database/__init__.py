"""Looking after the store as a database: its schema, and moving it between SQLite and PostgreSQL (`rota db`)."""
