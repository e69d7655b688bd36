"""The settings, and the file they come from."""
