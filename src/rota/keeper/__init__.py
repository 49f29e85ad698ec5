"""Local commands that outlive the daemon: the keeper process, and the daemon's side of it.

`process/` is the small program that owns the children (stdlib only, never imports `rota`).
`orders.py` has the words, `client.py` the connection, `remains.py` what a dead keeper left behind.
"""
