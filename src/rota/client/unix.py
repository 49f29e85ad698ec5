"""HTTP over the daemon's unix socket, with the standard library alone: the command line must start fast."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

from rota.client.transport import Response
from rota.client.wire import error_of
from rota.domain.errors import Refused, Unavailable

ANSWER_SECONDS = 60.0
SILENCE_SECONDS = 45.0  # the server pings every 15 s: three missed pings are a dead connection
_PIECE = 65_536


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path, *, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class UnixTransport:
    """One connection per request: connecting costs 0.1 ms, and a kept one may be closed while a person thinks."""

    in_process = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def answers(self) -> bool:
        """Whether something accepts connections there. Raises Refused where this user may not."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(ANSWER_SECONDS)
            try:
                probe.connect(str(self._path))
            except PermissionError as error:
                raise Refused(
                    f"you may not use the socket {self._path}",
                    expected="the user who runs that daemon",
                    hint="choose another instance with --home or ROTA_HOME",
                ) from error
            except OSError:  # no such file, nobody listening, or a path longer than a socket's may be
                return False
        return True

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
        connection = _UnixConnection(self._path, seconds=patience_seconds or ANSWER_SECONDS)
        try:
            answer = self._send(connection, method, _with(path, query), body, headers)
            return _whole(answer)
        except (OSError, HTTPException) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def stream(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[bytes]:
        connection = _UnixConnection(self._path, seconds=SILENCE_SECONDS)
        try:
            answer = self._send(connection, method, path, None, headers)
            if answer.status >= 300:
                raise error_of(_whole(answer))
            while piece := answer.read1(_PIECE):
                yield piece
        except (OSError, HTTPException) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is held between requests."""

    @staticmethod
    def _send(
        connection: HTTPConnection, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> HTTPResponse:
        connection.request(method, target, body=body, headers={"Connection": "close", **headers})
        return connection.getresponse()

    def _lost(self, error: Exception) -> Unavailable:
        what = "did not answer in time" if isinstance(error, TimeoutError) else "broke the connection"
        return Unavailable(
            f"the daemon at {self._path} {what} ({error or type(error).__name__})",
            hint="rota daemon status",
        )


def _whole(answer: HTTPResponse) -> Response:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Response(status=answer.status, headers=headers, body=answer.read())


def _with(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
