"""Images in, a run directory out: the training room of genline.

In the order of the data, each knowing only what stands above it:

errors.py, quiet.py, interrupts.py   errors for users, TensorFlow without its notes, Ctrl-C
files/                               files that are written whole, and locks
images.py, progress.py               image grids and PNG; what a person sees of long work
data/                                a data set, the cache of decoded images, the stream of batches
sources/                             where images come from: folders, archives, arrays, records
settings.py, presets.py              every number and choice of a training, and where they start from
conditions/                          what both networks take beside latents and images
networks/, losses/                   generators and discriminators; adversarial and auxiliary losses
metrics/                             how good a generator is
training/                            the training step, devices, callbacks, checkpoints
editing/                             which latents draw a given picture
plan.py                              what is to be trained
run.py                               one training, from the plan to the run directory
report/                              one HTML page about a run
detection/                           a detector of generated pictures
commands/, cli.py                    the command line
"""
