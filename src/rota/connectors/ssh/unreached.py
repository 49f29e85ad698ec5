"""Why a host was not reached, in one word for machines and one line for people."""

from __future__ import annotations

from rota.domain.reasons import Reason


class Unreached(Exception):
    """Nothing was started on the host, because nobody got there.

    `reason` is one of credential_missing, host_offline, connect_refused, connect_timeout, auth_failed,
    host_key_unknown, host_key_changed. The text is one line: it names the host and its address, and what to type
    where typing helps. It never holds a secret, and nothing that a host said but what is plain and short.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(message)
