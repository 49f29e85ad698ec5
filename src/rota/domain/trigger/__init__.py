"""Clock triggers: what is written (`spec`), when it is due (`timetable`), and that in English (`explain`).

A trigger's text is read once, by `dialect` and `items`, into the bit masks of `fields`. `wall` finds the matching
readings of a wall clock; `zones` knows when each reading was shown; `cron` joins the two by Debian's rules for clock
changes. Pure: an instant is always an argument, and nothing here reads a clock.
"""
