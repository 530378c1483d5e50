"""What goes over the network, and how; what tensors mean is not known here.

`target.py` reads addresses, `security.py` has TLS, tokens and headers, `proxy.py` finds the proxy; `channel.py` is the
connection. `wire.py` has the messages (wire.proto), `guard.py` bounds the memory of responses, `codec.py` makes arrays
of tensors and back, with `varints.py`. `status.py` has the states of versions, `rest.py` a server's models.
"""
