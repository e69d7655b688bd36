"""Several processes that look like one server: a parent, and its children on SO_REUSEPORT."""
