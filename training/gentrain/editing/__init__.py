"""Latents of pictures: what a generator, trained here or elsewhere, has to be given to draw them.

drawing.py   a generator as editing sees it: a run, a version of a repository, a Keras file, a SavedModel
encoder.py   from pictures to latents at once: a network that learns from samples and pictures
likeness.py  how much a drawing differs from its picture: in pixels, and in features of a frozen net
project.py   latents that draw a picture best, by going downhill from several starts
targets.py   pictures of a user's as the generator would draw them: their size, crop and colours
"""
