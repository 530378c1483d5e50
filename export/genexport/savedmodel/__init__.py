"""The SavedModel that servers load.

signatures.py    the functions that a server offers, and the one that TFLite files have
saved_model.py   write it, and run it as TensorFlow Serving does
warmup.py        requests that a server replays before it offers a version
batch_sizes.py   the batch sizes to pad to, and batching_parameters.txt
"""
