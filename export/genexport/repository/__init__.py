"""The folder that servers watch, and what a version says of its own files.

store.py      versions by number: staging, the rename that publishes, locks, removal of old ones
manifest.py   manifest.json and its seal: written, read, every SHA-256 checked
rollback.py   an old version copied under the next number
"""
