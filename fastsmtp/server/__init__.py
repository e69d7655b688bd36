"""Listeners, and the transports of their connections."""
