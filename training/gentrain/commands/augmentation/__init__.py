"""More images for a classifier: drawn by a generator, looked through for copies, and tried on images held out.

options.py      what is to be done
parts.py        who sees which image
pictures.py     draws, leaves out near-copies, writes a folder a class
verdict.py      what the classifiers' answers say
work.py         one step after the other, each kept on disk

The classifiers and the training of the generator are the study's.
"""
