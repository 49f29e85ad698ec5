"""What carries a request to Rota's API and the answer back, wherever the API runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A whole answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    @property
    def in_process(self) -> bool:
        """Whether this very process serves the API, and so carries out the runs it makes."""

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        patience_seconds: float | None = None,
    ) -> Response:
        """Send one request and wait for the whole answer, whatever its status.

        `patience_seconds`: how long it may take, where that is longer than is usual. `path` is already percent-encoded.
        Raises Unavailable if there is no answer; the request may then have been carried out or not.
        """

    def stream(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[bytes]:
        """Give the body in pieces, each as soon as it was sent. Closing the iterator ends the request.

        The request goes out with the first `next`. A status other than 2xx raises the error the answer holds.
        Raises Unavailable when the connection breaks or is silent for longer than the server's ping.
        """

    def close(self) -> None:
        """Let go of what the transport holds. Calling it again does nothing."""
