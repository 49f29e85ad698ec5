-- Who has a host to itself.

-- name: take
INSERT INTO host_lock (host, run_id, run_target_id, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING

-- name: is_holder
SELECT run_target_id = ? FROM host_lock WHERE host = ? /*pg: FOR UPDATE SKIP LOCKED */

-- name: release
DELETE FROM host_lock WHERE run_target_id = ? RETURNING host

-- name: release_ended
DELETE FROM host_lock
WHERE run_id = ?
  AND run_target_id IN (SELECT id FROM run_target WHERE run_target.run_id = host_lock.run_id AND finished_at IS NOT NULL)
RETURNING host

-- name: lock_out
UPDATE run_target SET waiting_for = 'host', not_before = ?, reason = 'host_locked' WHERE id = ? AND state = 'queued'

-- name: let_in
UPDATE run_target SET waiting_for = NULL, not_before = NULL, reason = NULL, message = NULL
WHERE state = 'queued' AND reason = 'host_locked' AND host = ?

-- name: give_up_at
UPDATE run_target SET not_before = ?
WHERE run_id = ? AND state = 'queued' AND reason = 'host_locked' AND not_before IS NULL

-- name: anybody_locked_out
SELECT EXISTS (SELECT 1 FROM run_target WHERE state = 'queued' AND reason = 'host_locked')
