-- Caps on targets at work, and how many there are.

-- name: caps
SELECT key, cap FROM run_limit WHERE key <> 'runs' ORDER BY key /*pg: FOR UPDATE */

-- name: all
SELECT key, cap, used FROM run_limit ORDER BY key

-- name: any
SELECT EXISTS (SELECT 1 FROM run_limit WHERE key <> 'runs')

-- name: at_work
SELECT count(*) FROM run_target WHERE state = 'running'

-- name: at_work_in
SELECT count(*) FROM run_target WHERE state = 'running' AND site = ?

-- name: at_work_on
SELECT count(*) FROM run_target WHERE state = 'running' AND host = ?

-- name: at_work_by_host
SELECT host, count(*) FROM run_target WHERE state = 'running' GROUP BY host

-- name: at_work_of
SELECT count(*) FROM run_target JOIN run ON run.id = run_target.run_id
WHERE run_target.state = 'running' AND run.job_id = ?

-- name: set
INSERT INTO run_limit (key, cap, used) VALUES (?, ?, 0) ON CONFLICT (key) DO UPDATE SET cap = excluded.cap

-- name: of
SELECT cap FROM run_limit WHERE key = ?

-- name: move
UPDATE run_limit SET key = ? WHERE key = ?

-- name: remove
DELETE FROM run_limit WHERE key = ?
