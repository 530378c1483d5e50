"""Do a GAN's images help a classifier? One trained on few real images, on generated ones, on both, many times over.

options.py      what is compared
split.py        who sees which image
synthetic.py    trains a generator and draws from it
classifier.py   learns and is tested
journal.py      keeps every result on disk
results.py      the table and the figure
run.py          the loop
"""
