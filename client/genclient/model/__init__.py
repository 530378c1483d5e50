"""What a model takes and gives.

`signature.py` has what it says of itself; `binding.py` which of its tensors is which; `inputs.py` the arrays that are
sent; `classes.py` names of classes; `tflite_metadata.py` what a TFLite file says; `describe.py` all that in words.
"""
