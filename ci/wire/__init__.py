"""Random dialogues over real sockets, and the ledger of what became of every mail."""
