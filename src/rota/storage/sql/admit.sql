-- Runs that waited: for a slot under the cap, for older runs of the same job to end, or for their turn to be caught up.

-- name: waiting
SELECT run.id, run.job_id, run.total, run.priority, target_set.members, run_fanout.rules,
       run_turn.run_id, run_turn.spacing
FROM run
JOIN target_set ON target_set.id = run.target_set_id
LEFT JOIN run_fanout ON run_fanout.run_id = run.id
LEFT JOIN run_turn ON run_turn.run_id = run.id
WHERE run.state = 'waiting'
  AND (run.waiting_for = 'slot'
       OR NOT EXISTS (SELECT 1 FROM run AS older
                      WHERE older.finished_at IS NULL
                        AND older.job_id = run.job_id AND older.id < run.id)
       OR (run_turn.at_once > 1
           AND (SELECT count(*) FROM run AS older
                WHERE older.finished_at IS NULL
                  AND older.job_id = run.job_id AND older.id < run.id) < run_turn.at_once))
  AND (run_turn.not_before IS NULL OR run_turn.not_before <= ?)
  AND (run_turn.expires_at IS NULL OR run_turn.expires_at > ?)
ORDER BY run.priority DESC, run.due_at, run.id
LIMIT ?

-- name: any_waiting
SELECT EXISTS (SELECT 1 FROM run WHERE state = 'waiting')

-- name: admitted
UPDATE run SET state = ?, waiting_for = NULL, queued_at = ?, started_at = ? WHERE id = ? /*pg key*/ AND state = 'waiting'

-- name: job_admitted
UPDATE job_state SET last_state = ?, last_started_at = ?
WHERE job_id = ? /*pg key*/ AND last_run_id = ?

-- name: anything
SELECT EXISTS (SELECT 1 FROM run WHERE state = 'waiting')
    OR EXISTS (SELECT 1 FROM run_target WHERE state = 'queued' AND waiting_for IS NULL)
    OR EXISTS (SELECT 1 FROM run_target WHERE state = 'queued' AND reason = 'host_locked'),
       (SELECT min(not_before) FROM run_turn WHERE not_before > ?),
       (SELECT min(expires_at) FROM run_turn WHERE expires_at IS NOT NULL)
