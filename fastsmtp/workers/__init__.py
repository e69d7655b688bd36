"""Worker processes and the pool that lends them, one email at a time."""
