"""Sockets, addresses, processes and the event loop of this machine."""
