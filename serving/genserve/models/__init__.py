"""Which models and versions are served, and the change from some to others.

config.py     the model config: flags or ModelServerConfig
states.py     the states of a version, and retries of failed loads
model.py      one model: loads, swaps and unloads its versions
manager.py    all models by name, each with a thread that watches its folder
reload.py     a new config while the server runs
"""
