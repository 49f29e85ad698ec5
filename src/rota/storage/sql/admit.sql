-- Runs that waited: for a slot under the cap, or for older runs of the same job to end.

-- name: waiting
SELECT run.id, run.public_id, run.job_id, run.title, run.kind, run.plan_id, run.target_set_id, run.total,
       run.targets_at_once, run.run_timeout, run.due_at, run.priority, target_set.members, run_fanout.rules
FROM run
JOIN target_set ON target_set.id = run.target_set_id
LEFT JOIN run_fanout ON run_fanout.run_id = run.id
WHERE run.state = 'waiting'
  AND (run.waiting_for = 'slot'
       OR NOT EXISTS (SELECT 1 FROM run AS older
                      WHERE older.finished_at IS NULL
                        AND older.job_id = run.job_id AND older.id < run.id))
ORDER BY run.priority DESC, run.due_at, run.id
LIMIT ?

-- name: admitted
UPDATE run SET state = ?, waiting_for = NULL, queued_at = ?, started_at = ? WHERE id = ? AND state = 'waiting'

-- name: job_admitted
UPDATE job_state SET last_state = ?, last_started_at = ? WHERE last_run_id = ?

-- name: anything
SELECT EXISTS (SELECT 1 FROM run WHERE state = 'waiting')
    OR EXISTS (SELECT 1 FROM run_target WHERE state = 'queued' AND waiting_for IS NULL)
    OR EXISTS (SELECT 1 FROM run_target WHERE state = 'queued' AND reason = 'host_locked')
