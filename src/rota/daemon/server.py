"""uvicorn inside our process: our socket, our signals, and no wake-ups while nobody asks anything."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rota.daemon.sockets import peer_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Of connections at once. Each live view holds one; they are the owner's own, so this only catches a runaway.
MAX_CONNECTIONS = 250

# How long answers that are under way may take to end once the server stops. Live views of runs that were left
# running never end by themselves.
GRACE_SECONDS = 2


class ApiServer(uvicorn.Server):
    """Serves one ASGI app on one bound unix socket until `stop`.

    The principal is in the scope: `scope["client"]` is `("uid:1000", pid)`, from the kernel. Others than the owner
    of this process and root are turned away.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http=_PeerProtocol,
            ws="none",
            lifespan="off",  # whoever composes the app opens and closes what it needs
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # it is what uvicorn wakes up for, ten times a second
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self.listening = asyncio.Event()
        self._listener = listener
        self._stopping = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Listen and answer until `stop`; then let what is under way end, for `GRACE_SECONDS` at most."""
        try:
            await self.serve(sockets=[self._listener])
        finally:
            for server in getattr(self, "servers", []):  # uvicorn sets it once it listens
                server.close()
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    def stop(self) -> None:
        """Ask the server to end. Safe to call again."""
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        await self._stopping.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _PeerProtocol(HttpToolsProtocol):
    """HTTP/1.1 on a unix socket, from peers that the kernel vouches for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        peer = peer_of(transport.get_extra_info("socket"))
        self.client = (f"uid:{peer.uid}", peer.pid)
        if peer.uid not in (os.geteuid(), 0):
            # The socket's mode keeps others out; but an open connection can be handed to anybody.
            self.logger.warning("refused a connection of uid %d (pid %d)", peer.uid, peer.pid)
            transport.write(_refusal(peer.uid))
            transport.close()

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)


def _refusal(uid: int) -> bytes:
    error = {
        "code": "refused",
        "message": f"this instance belongs to uid {os.geteuid()}, and you are uid {uid}",
        "hint": "choose an instance of your own with --home or ROTA_HOME",
        "errors": [],
    }
    body = json.dumps(error).encode()
    head = f"HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"connection: close\r\n\r\n" + body
