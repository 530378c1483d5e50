"""Where images go: a sheet, an archive, a folder of pictures, shards. What is there already is not asked for again.

`order.py` says what is wanted, `place.py` reads what `--out` means, `filling.py` carries batches there.
"""
