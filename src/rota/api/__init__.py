"""REST and server-sent events over the use cases. A route reads the words, calls one use case, and writes the answer."""
