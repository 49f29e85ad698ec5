"""`rota demo`: Rota at work on a scratch instance, and the hosts it works on."""
