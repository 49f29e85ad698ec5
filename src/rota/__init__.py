"""Rota: one durable scheduler for operations."""
