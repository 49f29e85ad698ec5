"""The command line: click commands that speak to the API through `rota.client`.

It starts in a few dozen milliseconds because nothing here imports the server, pydantic or SQLAlchemy, and rich
only for the live view on a terminal. Data goes to stdout, talk to stderr.
"""
