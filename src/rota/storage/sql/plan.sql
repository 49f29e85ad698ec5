-- The planner's batch: what is due, and what became of it.

-- name: due
SELECT due.trigger_id, due.nominal, due.generation, trigger.job_id, job_state.active, job_state.last_run_id,
       due.fire_at, due.deferred_by
FROM due
JOIN trigger ON trigger.id = due.trigger_id
JOIN job_state ON job_state.job_id = trigger.job_id
WHERE due.fire_at <= ?
ORDER BY due.fire_at, due.trigger_id
LIMIT ?

-- name: advance
UPDATE due SET nominal = ?, fire_at = ?, high_water = ? WHERE trigger_id = ? /*pg key*/

-- name: advance_alike
UPDATE due SET nominal = ?, fire_at = ?, high_water = ?
WHERE trigger_id IN /*pg instead: = ANY (ARRAY */
      (SELECT CAST(value AS BIGINT) FROM json_each(?) /*pg instead: json_array_elements_text(CAST(? AS json))) */)

-- name: advance_deferred
UPDATE due SET nominal = ?, fire_at = ?, high_water = ?, deferred_by = ? WHERE trigger_id = ? /*pg key*/

-- name: run
INSERT INTO run (id, public_id, job_id, job_version_id, title, trigger_id, nominal, key, kind, catch_up, state,
                 waiting_for, priority, plan_id, target_set_id, total, ok, open_targets, targets_at_once, run_timeout,
                 principal, rerun_of, created_at, due_at, queued_at, started_at, deferred_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: run_begun
INSERT INTO run (id, public_id, job_id, job_version_id, title, trigger_id, nominal, kind, catch_up, state, priority,
                 plan_id, target_set_id, total, ok, open_targets, targets_at_once, run_timeout, principal, created_at,
                 due_at, queued_at, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, FALSE, 'running', ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: job_started
UPDATE job_state
SET active = active + 1, last_run_id = ?, last_state = ?, last_reason = NULL, last_kind = ?, last_started_at = ?,
    last_finished_at = NULL
WHERE job_id = ? /*pg key*/

-- name: jobs_started
UPDATE job_state
SET active = active + 1, last_run_id = run.id, last_state = 'running', last_reason = NULL, last_kind = run.kind,
    last_started_at = run.started_at, last_finished_at = NULL
FROM run
WHERE run.id BETWEEN ? AND ? AND job_state.job_id = run.job_id

-- name: ledger
INSERT INTO ledger (id, job_id, job_name, trigger_id, kind, reason, message, first_nominal, last_nominal, count,
                    blocked_by, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: ledger_last
SELECT id, first_nominal, last_nominal, count FROM ledger
WHERE id = (SELECT id FROM ledger WHERE job_id = ? AND trigger_id = ? ORDER BY id DESC LIMIT 1) AND reason = ?
  AND blocked_by IS /*pg: NOT DISTINCT FROM */ ? AND message IS /*pg: NOT DISTINCT FROM */ ?
  AND NOT EXISTS (SELECT 1 FROM run WHERE run.trigger_id = ledger.trigger_id AND run.nominal > ledger.last_nominal)

-- name: ledger_again
UPDATE ledger SET last_nominal = ?, count = count + ?, at = ? WHERE id = ?

-- name: next_fire
SELECT min(fire_at) FROM due WHERE fire_at IS NOT NULL

-- name: limit
SELECT cap, used FROM run_limit WHERE key = 'runs' /*pg: FOR UPDATE */

-- name: limit_seen
SELECT cap, used FROM run_limit WHERE key = 'runs'

-- name: use_limit
UPDATE run_limit SET used = used + ? WHERE key = 'runs'

-- name: use_if_free
UPDATE run_limit SET used = used + ? WHERE key = 'runs' AND used + ? <= cap
