"""Pictures: pixels of what models give (`pixels.py`), image grids with captions (`grid.py`), the picture that notebooks
show (`sheet.py`), drawing in a terminal (`terminal.py`), picture files that are to be sent (`pictures.py`).
"""
