"""The training itself, from a batch to a checkpoint.

gan.py           the Keras model: networks, optimisers and one step for both
auxiliaries.py   its losses beside the adversarial one, with the networks that these bring along
schedules.py     what changes over a run: learning rate, γ, augmentation, memory of the EMA
draws.py         the random numbers of a step
frames.py        clips as one picture of many channels
augment.py       DiffAugment
devices.py       precision, and one device or several
loop.py          `fit` for several devices
examples.py      pairs that are not trained on: image grids of a translation, and what an export is checked by
callbacks/       what happens now and then: log, samples, checkpoints, metrics, warnings, stop
checkpoints.py   all that resuming needs
initial.py       a run that starts from another run's networks
memory.py        running out of memory, reported in one line
"""
