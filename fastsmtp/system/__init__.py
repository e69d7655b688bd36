"""Sockets, addresses, processes, terminals and the event loop of this machine."""
