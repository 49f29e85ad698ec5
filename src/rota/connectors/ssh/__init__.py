"""Hosts over SSH: the way to them (connection, pool, credentials, known_hosts, reach) and what runs there."""
