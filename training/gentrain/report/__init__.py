"""`gentrain report`: one HTML page about a run.

write.py       the page, section by section
html.py        its tags: functions in front of the Jinja templates in templates/
record.py      what a run wrote about itself, read back whatever state it is in
snapshots.py   which generator of the run the page speaks of
curves.py      the log as charts, drawn by figures.py
timelapse.py   the samples over the training, as WebP or GIF
"""
