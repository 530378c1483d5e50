"""What the operator says: command-line flags and the files that they name.

flags.py        every flag, its default, range and help
textproto.py    reads text protos: the model, SSL, session and monitoring configs
"""
