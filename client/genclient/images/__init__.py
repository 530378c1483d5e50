"""Pictures that come out of models, and pictures that go into them.

out   pixels.py       from a model's output to uint8
      grid.py         PNG files, and image grids with captions
      image_grid.py   the image grid that notebooks show
      terminal.py     drawn in a terminal
in    pictures.py     which files are meant, and their bytes
      arrays.py       files and .npy as arrays
      prepare.py      cropped and resized, where the model does not do it itself
      tiles.py        in overlapping tiles, and these put together again
      frames.py       of animated pictures
      value_ranges.py black and white of pictures of 32 bits or floats
"""
