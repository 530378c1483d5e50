"""What a model takes and gives.

`signature.py` has what it says of itself. `role.py` says what a tensor can be for, with genline's own roles in
`roles.py`; `binding.py` which tensor has which role; `inputs.py` the examples that are sent. `classes.py` has names of
classes, `tflite_metadata.py` what a TFLite file says; `describe.py` puts all that in words.
"""
