"""REST and server-sent events over the use cases: a route reads the words, calls one use case, writes the answer."""
