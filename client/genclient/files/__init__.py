"""Files that are there whole or not at all: whole.py writes them, locks.py locks them. Every room has its own."""
