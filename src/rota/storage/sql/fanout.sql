-- The rules of runs that say how they spread over their hosts, and what has become of them.

-- name: gate
SELECT lock_hosts, spacing, open_batch, next_start_at FROM run_fanout WHERE run_id = ?

-- name: rules
SELECT rules FROM run_fanout WHERE run_id = ?

-- name: started_one
UPDATE run_fanout SET next_start_at = ? WHERE run_id = ?

-- name: ended
UPDATE run_fanout SET bad = bad + ? WHERE run_id = ?
RETURNING open_batch, last_batch, batch_pause, next_start_at, max_fail, bad

-- name: is_batch_open
SELECT EXISTS (SELECT 1 FROM run_target WHERE run_id = ? AND batch > 0 AND batch <= ? AND finished_at IS NULL)

-- name: open_next
UPDATE run_fanout SET open_batch = open_batch + 1, next_start_at = ? WHERE run_id = ?

-- name: run_ends_at
SELECT started_at + run_timeout FROM run WHERE id = ?

-- name: is_stopped
SELECT bad > max_fail FROM run_fanout WHERE run_id = ?

-- name: skip_rest
UPDATE run_target
SET state = 'skipped', reason = 'max_fail', message = ?, finished_at = ?, waiting_for = NULL, not_before = NULL
WHERE run_id = ? AND state = 'queued' AND started_at IS NULL

-- name: next_start
SELECT min(next_start_at) FROM run_fanout WHERE next_start_at > ?

-- name: next_start_of
SELECT next_start_at FROM run_fanout WHERE next_start_at > ? AND run_id = ?

-- name: progress
SELECT rules, last_batch, open_batch, next_start_at, max_fail, bad FROM run_fanout WHERE run_id = ?
