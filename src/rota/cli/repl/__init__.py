"""`rota shell`: the same commands, line by line, and the slash forms of seeds 3 and 5.

`translate` turns a line into a command line, `loop` carries lines out, `editing` gives a person history and
completion, `schedules` prints seed 3's list.
"""
