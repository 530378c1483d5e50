"""The commands of genexport: options in, one call of the library, results on stdout, progress on stderr.

publish.py      `genexport publish`
versions.py     `genexport list`, `show`, `verify` and `rollback`
common.py       what the commands share
interrupts.py   Ctrl-C before a command runs and after it is done
"""
