"""The command, but for what each of its commands does, which is in genclient/commands/.

`program.py` is the group, and turns errors into exit codes. `options.py` has the options that commands share,
`types.py` their types, `resolve.py` where values come from (command line, environment, `config.py`); `source.py` opens
the server or the file that images come from; `console.py` prints; `interrupts.py` has Ctrl-C.
"""

from genclient.cli.program import COMMANDS, cli, main

__all__ = ["COMMANDS", "cli", "main"]
