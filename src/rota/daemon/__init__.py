"""The long-lived process: its locks, its socket, its signals, its service units."""
