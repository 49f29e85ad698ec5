-- Queued targets, and how many of each run are in work already.

-- name: queued
SELECT run_target.id, run_target.run_id, run_target.host, run_target.host_version_id, run_target.connector,
       run_target.fence, run_target.cursor,
       run.public_id, run.job_id, run.title, run.kind, run.plan_id, run.total, run.targets_at_once, run.run_timeout,
       run.due_at, run.started_at, run.state
FROM run_target JOIN run ON run.id = run_target.run_id
WHERE run_target.state = 'queued' AND run_target.priority = ? AND run_target.id > ?
  AND run.cancel_requested_at IS NULL
ORDER BY run_target.id
LIMIT ?

-- name: next_priority
SELECT max(priority) FROM run_target WHERE state = 'queued' AND priority < ?

-- name: last_of_run
SELECT max(id) FROM run_target WHERE run_id = ?

-- name: in_work
SELECT count(*) FROM run_target WHERE run_id = ? AND state = 'running'

-- name: take
UPDATE run_target SET state = 'running', owner = ?, fence = fence + 1, started_at = coalesce(started_at, ?)
WHERE id = ? AND state = 'queued'

-- name: run_started
UPDATE run SET state = 'running', started_at = coalesce(started_at, ?) WHERE id = ? AND state = 'queued'

-- name: last_number
SELECT coalesce(max(number), 0) FROM attempt WHERE run_target_id = ? AND step = ?
