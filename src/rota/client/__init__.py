"""The typed client: one method per verb, over a unix socket or in process. Imports nothing of the server."""
