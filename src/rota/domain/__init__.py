"""Pure rules: no I/O, no clock, no framework. Everything else depends on this package."""
