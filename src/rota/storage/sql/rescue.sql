-- What a dead owner on this machine held.

-- name: owners
SELECT id FROM owner WHERE ended_at IS NULL AND (node IS NULL OR node = ?)

-- name: held
SELECT run_target.id, run_target.run_id, run_target.host, run_target.host_version_id, run_target.connector,
       run_target.fence, run_target.cursor,
       run.public_id, run.job_id, run.title, run.kind, run.plan_id, run.total, run.targets_at_once, run.run_timeout,
       run.due_at, run.started_at, run.cancel_reason,
       attempt.id, attempt.number, run_target.changed, run_fanout.on_offline
FROM run_target
JOIN run ON run.id = run_target.run_id
LEFT JOIN run_fanout ON run_fanout.run_id = run.id
LEFT JOIN attempt ON attempt.run_target_id = run_target.id AND attempt.state = 'running'
WHERE run_target.owner = ? AND run_target.state = 'running'
ORDER BY run_target.id

-- name: fence_off
UPDATE run_target SET fence = fence + 1 WHERE owner = ? AND state = 'running'

-- name: take_over
UPDATE run_target SET owner = ?, fence = fence + 1 WHERE id = ? AND fence = ? AND state = 'running'

-- name: sought
UPDATE run_target SET lost_since = coalesce(lost_since, ?)
WHERE id = (SELECT run_target_id FROM attempt WHERE id = ?) AND owner = ? AND state = 'running'

-- name: found
UPDATE run_target SET lost_since = NULL
WHERE id = (SELECT run_target_id FROM attempt WHERE id = ?) AND owner = ? AND state = 'running'

-- name: owner_ended
UPDATE owner SET ended_at = ? WHERE id = ? AND ended_at IS NULL
