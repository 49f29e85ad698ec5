-- Caps on targets at work, and how many there are.

-- name: caps
SELECT key, cap FROM run_limit WHERE key <> 'runs'

-- name: all
SELECT key, cap, used FROM run_limit ORDER BY key

-- name: any
SELECT EXISTS (SELECT 1 FROM run_limit WHERE key <> 'runs')

-- name: at_work
SELECT count(*) FROM run_target WHERE state = 'running'

-- name: at_work_in
SELECT count(*) FROM run_target WHERE state = 'running' AND site = ?

-- name: set
INSERT INTO run_limit (key, cap, used) VALUES (?, ?, 0) ON CONFLICT (key) DO UPDATE SET cap = excluded.cap

-- name: remove
DELETE FROM run_limit WHERE key = ?
