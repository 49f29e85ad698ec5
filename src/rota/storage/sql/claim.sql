-- Queued targets that may be claimed, and how many of each run are in work already.

-- name: queued
SELECT run_target.id, run_target.run_id, run_target.host, run_target.host_version_id, run_target.connector,
       run_target.site, run_target.batch, run_target.fence, run_target.cursor, run_target.changed,
       run.public_id, run.job_id, run.title, run.kind, run.plan_id, run.total, run.targets_at_once, run.run_timeout,
       run.due_at, run.started_at, run_fanout.on_offline
FROM run_target
JOIN run ON run.id = run_target.run_id
LEFT JOIN run_fanout ON run_fanout.run_id = run.id
WHERE run_target.state = 'queued' AND run_target.waiting_for IS NULL
  AND run_target.priority = ? AND run_target.id > ?
  AND (run_target.site IS NULL OR run_target.site NOT IN (
        SELECT value FROM json_each(?) /*pg instead: json_array_elements_text(CAST(? AS json)) */))
  AND run.cancel_requested_at IS NULL
ORDER BY run_target.id
LIMIT ?
/*pg: FOR UPDATE OF run_target, run SKIP LOCKED */

-- name: next_priority
SELECT max(priority) FROM run_target WHERE state = 'queued' AND waiting_for IS NULL AND priority < ?

-- name: last_of_run
SELECT max(id) FROM run_target WHERE run_id = ?

-- name: in_work
SELECT run_id, count(*) FROM run_target
WHERE state = 'running'
  AND run_id IN /*pg instead: = ANY (ARRAY */
      (SELECT CAST(value AS BIGINT) FROM json_each(?) /*pg instead: json_array_elements_text(CAST(? AS json))) */)
GROUP BY run_id

-- name: take
UPDATE run_target SET state = 'running', owner = ?, fence = fence + 1, started_at = coalesce(started_at, ?)
WHERE id = ? /*pg key*/ AND state = 'queued'

-- name: run_started
UPDATE run SET state = 'running', started_at = coalesce(started_at, ?) WHERE id = ? /*pg key*/ AND state = 'queued'

-- name: last_number
SELECT coalesce(max(number), 0) FROM attempt WHERE run_target_id = ? AND step = ?

-- name: last_numbers
SELECT run_target.id, max(attempt.number)
FROM run_target JOIN attempt ON attempt.run_target_id = run_target.id AND attempt.step = run_target.cursor
WHERE run_target.id IN /*pg instead: = ANY (ARRAY */
      (SELECT CAST(value AS BIGINT) FROM json_each(?) /*pg instead: json_array_elements_text(CAST(? AS json))) */)
GROUP BY run_target.id
