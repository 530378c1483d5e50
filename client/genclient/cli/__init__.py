"""What the commands in genclient/commands/ share.

program.py      the group of commands; turns errors into exit codes
options.py      options that several commands have
server.py       options of the connection and of requests, and the client made from them
types.py        their types
resolve.py      where values come from: command line, environment, configuration file (config.py)
source.py       opens the server or the .tflite file that images come from
inputs.py       --input: pictures that a model takes beside latents
texts.py        --text: words that say what is to be seen, and which of them a model knows
like.py         --like: how a picture was made
keyframes.py    which latents an animation goes through
given.py        the pictures that a command is given
translating.py  makes pictures of a user's pictures, a few at a time
placing.py      which place --out means, of images or of clips
run.py          fetches what is missing, writes it, and prints the paths
showing.py      draws it in the terminal, where clips play
console.py      prints results, notes and progress
interrupts.py   Ctrl-C before a command runs and after it is done
"""

from genclient.cli.program import COMMANDS, cli, main

__all__ = ["COMMANDS", "cli", "main"]
