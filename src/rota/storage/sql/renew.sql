-- What an owner must hear of while it works. Local owners hold no lease: their lock says that they live.

-- name: cancels
SELECT DISTINCT run.id, run.cancel_reason
FROM run_target JOIN run ON run.id = run_target.run_id
WHERE run_target.owner = ? AND run_target.state = 'running' AND run.cancel_requested_at IS NOT NULL
