-- Verdicts. Each is fenced: a worker whose claim was taken over changes nothing.

-- name: attempt
UPDATE attempt
SET state = ?, reason = ?, message = ?, exit_code = ?, signal = ?, changed = ?, registered = ?, output_bytes = ?,
    started_at = ?, finished_at = ?
WHERE id = ? /*pg key*/ AND state = 'running'
  AND (SELECT fence FROM run_target WHERE run_target.id = attempt.run_target_id /*pg: FOR UPDATE */) = ?

-- name: target
UPDATE run_target
SET state = ?, reason = ?, message = ?, changed = coalesce(?, changed), finished_at = ?, lost_since = NULL
WHERE id = ? /*pg key*/ AND fence = ? AND state = 'running'

-- name: close_one
UPDATE run SET open_targets = open_targets - ?, ok = ok + ? WHERE id = ? RETURNING open_targets

-- name: ends
SELECT state, reason, count(*), min(message) FROM run_target WHERE run_id = ? GROUP BY state, reason

-- name: run
UPDATE run
SET state = ?, reason = ?, message = ?, ok = ?, open_targets = 0, waiting_for = NULL, finished_at = ?
WHERE id = ? /*pg key*/ AND finished_at IS NULL

-- name: job_finished
UPDATE job_state
SET active = active - 1,
    last_state = CASE WHEN last_run_id = ? THEN ? ELSE last_state END,
    last_reason = CASE WHEN last_run_id = ? THEN ? ELSE last_reason END,
    last_finished_at = CASE WHEN last_run_id = ? THEN ? ELSE last_finished_at END
WHERE job_id = ? /*pg key*/

-- name: outbox
INSERT INTO outbox (id, run_id, state, at) VALUES (?, ?, ?, ?)

-- name: cancel_request
UPDATE run SET cancel_requested_at = ?, cancel_reason = ?
WHERE id = ? AND finished_at IS NULL AND cancel_requested_at IS NULL
RETURNING state, job_id, total

-- name: end_queued
UPDATE run_target
SET state = ?, reason = ?, message = ?, finished_at = ?, waiting_for = NULL, not_before = NULL
WHERE run_id = ? AND state = 'queued'

-- name: told_already
SELECT run_target.fence, run_target.finished_at IS NOT NULL,
       EXISTS (SELECT 1 FROM attempt WHERE attempt.id = ? AND attempt.finished_at IS NOT NULL),
       (SELECT id FROM attempt WHERE attempt.run_target_id = run_target.id AND step = ? AND number = ?),
       run.finished_at IS NOT NULL
FROM run_target JOIN run ON run.id = run_target.run_id
WHERE run_target.id = ?
