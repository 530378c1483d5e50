"""Do a GAN's images help a classifier? One trained on few real images, on generated ones, on both, many times over.

`options` says what is compared, `split` decides who sees which image, `synthetic` trains a generator and draws from it, `classifier` learns and is
tested, `journal` keeps every result on disk, `results` makes the table and the figure of them, `run` is the loop.
"""
