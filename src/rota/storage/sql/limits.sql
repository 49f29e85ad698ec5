-- Caps on targets at work, and how many there are.

-- name: caps
SELECT key, cap FROM run_limit WHERE key <> 'runs' ORDER BY key /*pg: FOR UPDATE */

-- name: caps_seen
SELECT key, cap FROM run_limit WHERE key <> 'runs' ORDER BY key

-- name: capped_jobs
SELECT job.id, run_limit.key, run_limit.cap
FROM run_limit JOIN job ON job.name = substr(run_limit.key, 5) AND job.deleted_at IS NULL
WHERE run_limit.key LIKE 'job:%'

-- name: may_be_claimed
SELECT count(*) FROM (SELECT 1 FROM run_target WHERE state = 'queued' AND waiting_for IS NULL LIMIT ?) AS found

-- name: all
SELECT key, cap, used FROM run_limit ORDER BY key

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
WHERE run_target.state = 'running' AND run.job_id = ? AND run.finished_at IS NULL

-- name: set
INSERT INTO run_limit (key, cap, used) VALUES (?, ?, 0) ON CONFLICT (key) DO UPDATE SET cap = excluded.cap

-- name: of
SELECT cap FROM run_limit WHERE key = ?

-- name: move
UPDATE run_limit SET key = ? WHERE key = ?

-- name: remove
DELETE FROM run_limit WHERE key = ?
