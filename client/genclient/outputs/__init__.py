"""Where images go: an image grid, an archive, a folder, shards. What is there already is not requested again.

what        image_set.py: which images; translation.py: pictures made of pictures
where       place.py reads --out as one of
            grid.py (an image grid), archive.py (.npz), pictures.py (a folder), shards.py (tfrecord.py, webdataset.py),
            animation.py, clips.py and clip_files.py (the same of clips); output.py is what all of them have in common
how         filling.py carries batches there, png.py and crc32c.py encode fast
resuming    fileset.py, manifest.py, names.py, template.py: the files of a request; claim.py: one writer at a time
"""
