"""Descriptions of a version, for people.

manifest_entries.py   shapes, signatures, differences, provenance
run_facts.py          data, training and quality, as the run directory has them
model_card.py         MODEL_CARD.md
tables.py             tables of manifests, for the terminal and the card
image_grid.py         contact_sheet.png: captioned rows of images
preview.py            preview.webp: clips that play in the card
directions.py         the strongest directions of the latent space, and directions.png
class_directions.py   the directions that lead to a class, where a run has a classifier
"""
