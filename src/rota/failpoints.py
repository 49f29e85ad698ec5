"""The named places where a test may kill a process of Rota: between each two durable steps of daemon, keeper, backup.

See `rota.keeper.process.failpoint` for how it is asked for. Tests go through these lists, so that a place which no run
comes by any more fails them.
"""

from __future__ import annotations

from rota.keeper.process.failpoint import reach

__all__ = ["BACKUP", "DAEMON", "JANITOR", "KEEPER", "RESCUE", "RESTORE", "reach"]

# Of a daemon that plans and works.
DAEMON = (
    "plan.flushed",  # due instants are settled and their high-water has moved; what they start is durable
    "launch.committed",  # a run that was asked for is durable with its intents; nothing has been started
    "claim.committed",  # what was queued is claimed; nothing has been started
    "order.ready",  # an order is about to leave for the keeper
    "order.sent",  # it has left
    "report.pending",  # an attempt has ended, its verdict is not committed
    "report.committed",  # the verdict is durable, with the end of its run; the keeper has not heard of it
    "ack.sent",  # the keeper was told to forget
    "outbox.delivered",  # an end is marked as delivered; who watches has not been told
)
# Of whoever starts a keeper, and of a daemon that follows a dead one.
RESCUE = (
    "keeper.begun",  # the keeper's folder is durable, its process is not started
    "keeper.ready",  # it takes orders, and does not know whose
    "rescue.adopted",  # the keepers of the dead are ours; their targets are not
    "rescue.committed",  # all they held is ours, and the verdicts on what is lost are written
)
# Of the keeper.
KEEPER = (
    "keeper.accepted",  # orders have arrived, nothing is written
    "keeper.announced",  # "about to start these" is written, no child is made
    "keeper.spawned",  # a child is made, its start is not written
    "keeper.started",  # its start is written
    "keeper.ended",  # a child has ended, that is not written
    "keeper.written",  # its end is written, not synced and not told
    "keeper.told",  # its end was told
    "keeper.forgotten",  # the owner's commit was heard of
)
JANITOR = (
    "retention.output",  # the output of old runs is gone, their rows are not
    "retention.slice",  # a slice of old runs is gone, others are not
)
BACKUP = (
    "backup.copied",  # the databases are copied, the archive is not begun
    "backup.written",  # the archive is whole, under no name yet
    "backup.named",  # it has its name; older ones were not taken away
)
RESTORE = (
    "restore.unpacked",  # the files lie beside the home, as they were
    "restore.woken",  # the store is one that starts nothing by itself
    "restore.renamed",  # the home is there; that is not synced
)
