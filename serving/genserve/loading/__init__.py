"""From the folder of a version to one that may serve.

loader.py    loads, batches, warms up and limits a version as the flags say
warmup.py    replays the warm-up requests of a version
"""
