"""The commands of genclient, a file each, loaded when one is called; nothing heavy is imported before it is needed.

images       sample.py, interpolate.py, translate.py, animate.py
of pictures  detect.py, invert.py
a server     info.py, models.py, status.py, wait.py, reload.py, bench.py
the rest     config.py, completion.py
"""
