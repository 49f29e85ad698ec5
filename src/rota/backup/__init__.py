"""Backups: one file with everything an instance needs to live again, but for its secrets."""
