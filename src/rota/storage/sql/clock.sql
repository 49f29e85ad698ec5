-- What a clock that was set leaves behind: rows from a time that is still to come.

-- name: newest_run
SELECT created_at FROM run ORDER BY id DESC LIMIT 1

-- name: newest_audit
SELECT at FROM audit ORDER BY id DESC LIMIT 1

-- name: is_ahead
SELECT 1 FROM due WHERE high_water > ? LIMIT 1

-- name: one_at_a_time
SELECT cap FROM run_limit WHERE key = 'runs' /*pg: FOR UPDATE */

-- name: ahead
SELECT due.trigger_id, trigger.name, job.id, timetable.rule, job_version.spec, job.enabled
FROM due
JOIN trigger ON trigger.id = due.trigger_id
JOIN timetable ON timetable.id = trigger.timetable_id
JOIN job ON job.id = trigger.job_id
JOIN job_version ON job_version.id = job.version_id
WHERE due.high_water > ? AND job.deleted_at IS NULL
ORDER BY due.trigger_id
/*pg: FOR UPDATE OF due */

-- name: forget_high_water
UPDATE due SET high_water = ? WHERE trigger_id = ?

-- name: drop_spans
DELETE FROM ledger WHERE trigger_id = ? AND first_nominal > ?

-- name: spans
SELECT id, first_nominal, last_nominal, count FROM ledger WHERE trigger_id = ? AND last_nominal > ?

-- name: specs
SELECT spec FROM job_version WHERE job_id = ? ORDER BY number DESC LIMIT ?

-- name: end_span
UPDATE ledger SET last_nominal = ?, count = ? WHERE id = ?

-- name: ran_ahead
SELECT nominal FROM run WHERE trigger_id = ? AND nominal > ? AND nominal <= ? ORDER BY nominal

-- name: hosts
UPDATE run_target SET not_before = ? WHERE state = 'queued' AND waiting_for = 'host' AND not_before > ?

-- name: retries
UPDATE run_target
SET not_before = not_before + ?
    - (SELECT max(finished_at) FROM attempt WHERE attempt.run_target_id = run_target.id)
WHERE state = 'queued' AND waiting_for = 'retry' AND not_before > ?
  AND (SELECT max(finished_at) FROM attempt WHERE attempt.run_target_id = run_target.id) > ?

-- name: turns
UPDATE run_turn
SET not_before = not_before + ? - (SELECT created_at FROM run WHERE run.id = run_turn.run_id),
    expires_at = expires_at + ? - (SELECT created_at FROM run WHERE run.id = run_turn.run_id)
WHERE run_id IN (SELECT id FROM run WHERE created_at > ? AND finished_at IS NULL)

-- A start paces the others of its job, whenever they were made. A calendar's moment is no wait: it stays.
-- name: paces
UPDATE run_turn SET not_before = ? + spacing
WHERE not_before > ? + spacing
  AND EXISTS (SELECT 1 FROM run WHERE run.id = run_turn.run_id AND run.deferred_by IS NULL)

-- name: fanouts
UPDATE run_fanout SET next_start_at = ? + coalesce(spacing, 0) + batch_pause
WHERE next_start_at > ? + coalesce(spacing, 0) + batch_pause
