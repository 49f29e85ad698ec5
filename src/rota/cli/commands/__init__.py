"""The commands, a module for each group or kind; loaded only when used."""
