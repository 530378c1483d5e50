"""How far a file's images are from the generator's, and how far they may be.

parity.py     differences pixel by pixel, the limits, the option that would accept a difference
frechet.py    the rise of the Fréchet distance, by the run's feature network
rounding.py   what float32 arithmetic alone does to a generator's pixels
"""
