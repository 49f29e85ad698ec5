-- Signs of life of owners on a store that several homes share.

-- name: renew
UPDATE owner SET seen_at = ? WHERE id = ? AND ended_at IS NULL

-- name: ahead
SELECT 1 FROM owner WHERE ended_at IS NULL AND seen_at > ? LIMIT 1

-- name: bring_back
UPDATE owner SET seen_at = ? WHERE id IN (
    SELECT id FROM owner WHERE ended_at IS NULL AND seen_at > ? ORDER BY id /*pg: FOR UPDATE SKIP LOCKED */
)

-- name: silent
SELECT id FROM owner WHERE ended_at IS NULL AND node <> ? AND seen_at <= ?
UNION
SELECT owner.id FROM run_target JOIN owner ON owner.id = run_target.owner
WHERE run_target.state = 'running' AND owner.ended_at IS NOT NULL AND owner.seen_at <= ?
ORDER BY 1

-- name: last_word
SELECT seen_at, ended_at IS NOT NULL FROM owner WHERE id = ? /*pg: FOR UPDATE */

-- name: lost
UPDATE run_target SET lost_since = ? WHERE owner = ? AND state = 'running' AND lost_since IS NULL

-- name: holder
SELECT 1 FROM run_target WHERE id = ? AND fence = ? AND owner = ? AND state = 'running'
