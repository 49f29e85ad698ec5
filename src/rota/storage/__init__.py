"""Where everything durable is kept: tables once, functions of a transaction, and what differs between engines."""
