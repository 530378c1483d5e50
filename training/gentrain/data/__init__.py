"""From what a source decodes to the batches of a training.

dataset.py         how to decode images (`Frame`), a source before it is read, a data set after
sizes.py           what a resolution means: squares, or WIDTHxHEIGHT
checked.py         what holds of every source once it is decoded
cache.py           decoded images, kept between runs
holdout.py         which images a run is not trained on
stream.py          the endless, repeatable stream of batches
contact_sheet.py   the picture that `gentrain data` draws, with class names in fonts.py's fonts
"""
