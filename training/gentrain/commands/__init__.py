"""One file a command: its options, one call of the room beneath, and what it prints."""
