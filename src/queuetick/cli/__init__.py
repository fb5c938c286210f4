"""argv becomes one command and an exit code; the only room that prints."""
