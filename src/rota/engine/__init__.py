"""What moves runs along: planner, worker, rescuer, janitor, outbox. It knows ports, domain and storage, no faces."""
