-- Intents. Nothing is started before its row here is committed.

-- name: target
INSERT INTO run_target (id, run_id, host, host_version_id, connector, site, state, priority, batch, owner, fence,
                        cursor, started_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)

-- name: target_begun
INSERT INTO run_target (id, run_id, host, connector, state, priority, batch, owner, fence, cursor, started_at)
VALUES (?, ?, ?, ?, 'running', ?, 0, ?, 1, 0, ?)

-- name: targets_of_runs
INSERT INTO run_target (id, run_id, host, connector, state, priority, batch, owner, fence, cursor, started_at)
SELECT id + ?, id, ?, ?, 'running', priority, 0, ?, 1, 0, started_at FROM run WHERE id BETWEEN ? AND ?

-- name: attempts_of_runs
INSERT INTO attempt (id, run_target_id, step, number, state, intended_at)
SELECT id + ?, id + ?, 0, 1, 'running', started_at FROM run WHERE id BETWEEN ? AND ?

-- name: attempt
INSERT INTO attempt (id, run_target_id, step, number, state, intended_at) VALUES (?, ?, ?, ?, 'running', ?)

-- name: move_cursor
UPDATE run_target SET cursor = ?, changed = coalesce(?, changed) WHERE id = ? /*pg key*/ AND fence = ? AND state = 'running'
