"""A file becomes a generator that is known to be one.

source.py         which file of a run or folder it is
file_kinds.py     what a file is by its content, and what to do with one that is no model
keras_file.py     .keras files, precisions, classes of the user's own (--import)
keras2.py         files of Keras 2
frozen.py         SavedModels, and graphs as a layer
adapt.py          other inputs and outputs: several latents, one-hot, flat images
interface.py      which input is which, and how the model is called
rebuild.py        float32 throughout, and layers that convert
determinism.py    one seed is one image
real_examples.py  real examples, for a generator that takes pictures
output_range.py   which values are black and white
load.py           all of this in order; the Generator that everything behind it uses
encoder.py        the way back of a run's generator, from pictures to latents
layer_names.py    from a graph's node to its layer
layer_hooks.py    see, or change, what a layer gives
"""
