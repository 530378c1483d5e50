"""Runs one loaded version on arrays; knows nothing of requests, models or batches.

servable.py        the protocol of a loaded version
saved_model.py     a SavedModel in a TensorFlow session
tflite.py          a TFLite file in LiteRT interpreters
tflite_graph.py    the tensor names that a TFLite file was converted from
tensors.py         TensorProto to and from NumPy arrays
timing.py          where the time of a request went
memory.py          returns freed memory to the operating system
"""
