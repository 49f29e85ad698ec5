-- Signs of life of owners on a store that several homes share.

-- name: renew
UPDATE owner SET seen_at = ? WHERE id = ? AND ended_at IS NULL

-- name: silent
SELECT id FROM owner WHERE ended_at IS NULL AND node <> ? AND seen_at <= ? ORDER BY id

-- name: last_word
SELECT seen_at FROM owner WHERE id = ? AND ended_at IS NULL /*pg: FOR UPDATE */

-- name: lost
UPDATE run_target SET lost_since = ? WHERE owner = ? AND state = 'running' AND lost_since IS NULL
