"""The kinds of models that are published: how the version of each is built and proven.

generator_version.py       a generator's: SavedModel, TFLite, ONNX, pictures, card
proof.py                   every file run, and held to its limit
worst_layer.py             the layer that loses most of a file's accuracy
discriminator.py           the discriminator of a run, and what makes its logits scores
discriminator_version.py   its version: a SavedModel of scores
"""
