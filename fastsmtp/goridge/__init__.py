"""Goridge v1: the frames spoken with workers and over RPC."""
