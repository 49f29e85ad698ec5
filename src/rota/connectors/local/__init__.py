"""This machine: orders become children of the keeper."""
