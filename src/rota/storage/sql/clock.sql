-- What a clock that was set leaves behind: rows from a time that is still to come.
--
-- A wait that is reckoned from a moment to come (`retries`, `patience`) lasts as long from now. It ends before that moment
-- then, which tells that it was moved already: for another daemon, or when the clock was set back before. From there it
-- moves as far as the clock, if it lies beyond what the clock has left. A turn to be caught up is no farther off than
-- its spacing.

-- name: newest_run
SELECT created_at FROM run ORDER BY id DESC LIMIT 1

-- name: newest_audit
SELECT at FROM audit ORDER BY id DESC LIMIT 1

-- name: furthest
SELECT max(high_water) FROM due

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
SET not_before = CASE WHEN not_before < last.finished_at THEN not_before - ? ELSE not_before + ? - last.finished_at END
FROM attempt AS last
WHERE last.id = (SELECT max(id) FROM attempt WHERE attempt.run_target_id = run_target.id) AND last.finished_at > ?
  AND run_target.state = 'queued' AND run_target.waiting_for = 'retry'
  AND (run_target.not_before >= last.finished_at OR run_target.not_before > ?)

-- name: patience
UPDATE run_turn
SET expires_at = CASE WHEN expires_at < run.created_at THEN expires_at - ? ELSE expires_at + ? - run.created_at END
FROM run
WHERE run.id = run_turn.run_id AND run.created_at > ? AND run.finished_at IS NULL
  AND (run_turn.expires_at >= run.created_at OR run_turn.expires_at > ?)

-- A start paces the others of its job, whenever they were made.
-- name: paces
UPDATE run_turn SET not_before = ? + spacing
WHERE not_before > ? + spacing
  AND EXISTS (SELECT 1 FROM run WHERE run.id = run_turn.run_id AND run.deferred_by IS NULL)

-- A calendar's moment is no wait: it stays, unless it was of that other time.
-- name: deferred
UPDATE run_turn SET not_before = not_before + ? - run.created_at
FROM run
WHERE run.id = run_turn.run_id AND run.created_at > ? AND run.finished_at IS NULL AND run.deferred_by IS NOT NULL
  AND run_turn.not_before >= run.created_at

-- name: fanouts
UPDATE run_fanout SET next_start_at = ? + coalesce(spacing, 0) + batch_pause
WHERE next_start_at > ? + coalesce(spacing, 0) + batch_pause
