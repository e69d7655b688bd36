"""Fault plans: what sessions of a namespace do wrong on purpose, by rules."""
