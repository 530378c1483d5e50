"""A detector of generated pictures: real ones and those of generators in, a classifier and its threshold out.

In the order of the data:

fakes.py       where generated pictures come from: runs, .keras and .tflite files, versions, anybody's folders
codings.py     how their files were coded, and the same done to pictures of the other class
webp.py        how much a WebP file lost
pictures.py    real and generated ones brought to one size, and what is held out of each
disturb.py     blur, resizing and JPEG: at random for training, at set strengths for measuring
statistics.py  statistics of pixels, as layers
networks.py    the detector: a small network over them
pool.py        statistics of pictures drawn, coded alike and disturbed, to learn from
learn.py       training and calibration
scores.py      AUROC, threshold and its uncertainty, temperature
baselines.py   what it has to beat: statistics of pixels, and a run's own discriminator
measure.py     the table of figures
files.py       the run directory, and the picture of real and generated examples
"""
