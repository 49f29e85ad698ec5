-- Targets that wait without being held by anybody: for a retry, or for a host.

-- name: park
UPDATE run_target
SET state = 'queued', owner = NULL, lease_until = NULL, lost_since = NULL, waiting_for = ?, not_before = ?, reason = ?,
    message = ?, changed = coalesce(?, changed), started_at = CASE WHEN ? THEN NULL ELSE started_at END
WHERE id = ? AND fence = ? AND state = 'running'

-- name: withdraw
DELETE FROM attempt
WHERE id = ? AND state = 'running'
  AND (SELECT fence FROM run_target WHERE run_target.id = attempt.run_target_id /*pg: FOR UPDATE */) = ?

-- name: wake
UPDATE run_target SET waiting_for = NULL, not_before = NULL, reason = NULL, message = NULL
WHERE /*pg: id = ANY (ARRAY (SELECT id FROM run_target WHERE */
      state = 'queued' AND waiting_for IS NOT NULL AND not_before <= ? /*pg: FOR UPDATE SKIP LOCKED)) */

-- name: next_wake
SELECT min(not_before) FROM run_target WHERE state = 'queued' AND waiting_for IS NOT NULL AND not_before > ?

-- name: next_wake_of
SELECT min(not_before) FROM run_target
WHERE state = 'queued' AND waiting_for IS NOT NULL AND not_before > ? AND run_id = ?

-- name: cancel_asked
SELECT cancel_reason FROM run WHERE id = ? AND cancel_requested_at IS NOT NULL
