"""Addresses and transport security.

port.py    ports, interfaces and unix sockets to listen on
tls.py     certificates of --ssl_config_file
"""
