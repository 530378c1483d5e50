"""Where images go: an image grid, an archive, a folder, shards. What is there already is not requested again.

`image_set.py` says which images there are, `place.py` reads what `--out` means, `filling.py` carries batches there.
"""
