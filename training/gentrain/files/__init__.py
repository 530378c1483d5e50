"""What is written to the disk, whole or not at all.

whole.py   files and folders that appear in one rename, and errors of the disk in one line
locks.py   locks on files and folders, where the file system has them
"""

from gentrain.files.whole import MARK, disk_errors, flush, marked, own_folder, replacing, sweep, write_json

__all__ = ["MARK", "disk_errors", "flush", "marked", "own_folder", "replacing", "sweep", "write_json"]
