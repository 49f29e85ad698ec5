-- Runs that wait for their turn, or no longer than they may.

-- name: insert
INSERT INTO run_turn (run_id, job_id, at_once, spacing, not_before, expires_at, expires_as)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: pace
UPDATE run_turn SET not_before = ? WHERE job_id = ? AND spacing IS NOT NULL AND not_before < ?

-- name: begun
DELETE FROM run_turn WHERE run_id = ? AND expires_at IS NULL

-- name: forget
DELETE FROM run_turn WHERE run_id = ?

-- name: expired
SELECT run_turn.run_id, run_turn.expires_as, run.id IS NOT NULL
FROM run_turn LEFT JOIN run ON run.id = run_turn.run_id
WHERE run_turn.expires_at <= ?
ORDER BY run_turn.run_id

-- name: run_now
SELECT job_id, state FROM run WHERE id = ?

-- name: of_run
SELECT not_before, expires_at, expires_as FROM run_turn WHERE run_id = ?
