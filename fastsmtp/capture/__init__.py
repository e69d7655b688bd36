"""Mail data becomes an Email while it arrives."""
