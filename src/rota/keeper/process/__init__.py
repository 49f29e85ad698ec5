"""The keeper process. Stdlib only, every import at the top, nothing from `rota`.

It is started by file name with `-I -S`, so it runs as the package `process`; the daemon's side imports the same
modules as `rota.keeper.process` to read its files. Relative imports serve both. Classes are plain and slotted:
`dataclasses` would add 7 ms to each start and 1.7 MB to a process that lives for years.
"""
