"""Named tensors: what a generator takes and gives, and what each role means to an export.

latents.py         from seeds to latents, in the graph
preprocess.py      picture files → the pixels that training saw of them, in the graph
picture_files.py   what is in a picture file: JPEG, PNG, BMP, GIF, EXIF
"""
