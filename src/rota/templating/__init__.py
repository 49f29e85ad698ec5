"""Templates: what an author may write between `{{ }}`, how values are quoted, and the child that renders.

The language is Jinja2 cut down to names, items, listed filters and tests, `if`, comparisons and simple arithmetic.
`language` says what is allowed, `quoting` how a value is written into a shell command, `renderer` renders.
"""
