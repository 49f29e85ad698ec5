"""What both ends agree on: file names, limits, and JSON lines over the socket.

Owner → keeper, `m` is the kind:
  hello  {proto, epoch}                     first line of a connection; a lower epoch than the last is refused
  base   {env}                              the environment that later orders change
  start  {id, argv, env: {name: text|null}, cwd, umask, timeout, grace,
          head, tail, end_leftovers, stdin?, user?}
  kill   {id, cause, grace|null}            takes a queued start back, too
  ack    {ids}                              results may be forgotten
  read   {n, id, offset, limit}             answered by `slice`; only while the output is small, or unknown where
  stop   {grace}                            end all children, then leave
Keeper → owner:
  hello  {proto, pid, boot, live: [[id, pid, at]], queued: [id]}, then every result that nobody acknowledged
  refused {why}                             and the connection is closed
  out {id, total} · slice {n, …}            a hint of more output; the answer to `read`
  S      {id, pid, at, …}                   started   (S, F and E are the journal's own records, `k` is the kind)
  F      {id, errno, stage, message}        no process was made
  E      {id, code, sig, t0, t1, total, cpu, rss, held, cause, left, out?}
"""

from __future__ import annotations

import json

PROTO = 1
TOKEN = "ROTA_ATTEMPT_TOKEN"  # noqa: S105 (no secret: it marks the processes of an attempt)
LOCK, SOCK, JOURNAL, OUTPUTS, LOG, EPOCH = "lock", "sock", "journal", "out", "log", "epoch"
BEGUN = "begun"  # on which boot and in which pid namespace somebody set out to start the keeper
INLINE_BYTES = 16_384  # output up to this size lives in the journal: a file each would halve the start rate
READ_BYTES = 262_144

Message = dict[str, object]

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode(message: Message) -> bytes:
    """One message without its line end. Bytes that are no UTF-8 travel as lone surrogates (`\\udc80`)."""
    return _encode(message).encode("ascii")


class Lines:
    """Cuts a byte stream into messages. Raises ValueError at a line that is no JSON."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        end = data.rfind(b"\n")
        if end < 0:
            self._rest += data
            return []
        self._rest += data[:end]
        # One parse for all lines of a read: 3 times as fast as one each for small messages.
        messages: list[Message] = json.loads(b"[" + self._rest.replace(b"\n", b",") + b"]")
        self._rest = bytearray(data[end + 1 :])
        return messages
