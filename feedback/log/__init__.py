"""The append-only log: events, the store on Redis with its Lua scripts, the journal and its spool."""
