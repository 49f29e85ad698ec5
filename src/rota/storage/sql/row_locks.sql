-- Holding rows until the transaction ends. PostgreSQL only: see `row_locks.py`.

-- name: due
SELECT due.trigger_id, due.nominal, due.generation, trigger.job_id, due.fire_at, due.deferred_by
FROM (SELECT trigger_id, nominal, generation, fire_at, deferred_by FROM due
      WHERE fire_at <= ? ORDER BY fire_at, trigger_id LIMIT ? FOR UPDATE SKIP LOCKED) AS due
JOIN trigger ON trigger.id = due.trigger_id
ORDER BY due.fire_at, due.trigger_id

-- name: jobs
SELECT job_id, active, last_run_id FROM job_state
WHERE job_id = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(CAST(? AS json))))
ORDER BY job_id FOR UPDATE

-- name: jobs_of_runs
SELECT 1 FROM job_state
WHERE job_id = ANY(ARRAY(
        SELECT run.job_id FROM run
        WHERE run.id = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(CAST(? AS json))))))
ORDER BY job_id FOR UPDATE

-- name: runs
SELECT 1 FROM run WHERE id = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(CAST(? AS json))))
ORDER BY id FOR UPDATE

-- name: free_runs
SELECT id, job_id, state FROM run
WHERE id = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(CAST(? AS json))))
ORDER BY id FOR UPDATE SKIP LOCKED

-- name: free_jobs
SELECT job_id FROM job_state
WHERE job_id = ANY(ARRAY(SELECT value::bigint FROM json_array_elements_text(CAST(? AS json))))
ORDER BY job_id FOR UPDATE SKIP LOCKED

-- name: targets_of
SELECT 1 FROM run_target WHERE owner = ? AND state = 'running' ORDER BY id FOR UPDATE

-- name: triggers
SELECT 1 FROM due WHERE trigger_id IN (SELECT id FROM trigger WHERE job_id = ?) ORDER BY trigger_id FOR UPDATE
