"""The inbox's own HTTP API: handlers by what they are about, and what they share."""
