"""The TFLite files.

convert.py    makes each variant, and runs a file as a device does
subpixel.py   transposed convolutions as convolutions and a shuffle: which layers, and that the images stay
phases.py     the arithmetic of that
float16.py    weights that float16 cannot hold well enough stay in float32
dynamic.py    weights of a dynamic file that are float32 again
quantize.py   calibration and int8
kept_floats.py  which layers, or weights, lose too much by int8 and stay in float32
ops.py        which ops are in a file: the runtime they need, those in float32, the one that fails
metadata.py   what a file says of itself
"""
