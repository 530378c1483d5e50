"""The load test behind `genclient bench`: load.py applies it, levels.py parses its levels, chart.py draws results."""
