"""Named tensors: what a generator takes and gives, and what each role means to an export.

A further role is a subclass of `Role` in a file of its own, with a line in `ROLES`; from outside, a module that
`--import` names can `register` one.

tensor.py          a tensor with its role; interface.json
role.py            what every role defines: examples, inputs of signatures, metadata, words for the card
latents.py         N(0, 1), and from seeds to latents in the graph
labels.py          classes
image.py           a picture as floats, bytes or file
hints.py           colours at some places of a picture
tokens.py          words, and from texts to words in the graph
requests.py        values by name as each signature takes them; reference.npz
preprocess.py      picture files → the pixels that training saw of them, in the graph
picture_files.py   what is in a picture file: JPEG, PNG, BMP, GIF, EXIF
"""

from __future__ import annotations

from genexport.roles.hints import Hints
from genexport.roles.image import Image
from genexport.roles.labels import Labels
from genexport.roles.latents import Latents
from genexport.roles.role import Role
from genexport.roles.tokens import Tokens

ROLES: dict[str, Role] = {role.name: role for role in (Latents(), Labels(), Image(), Hints(), Tokens())}
"""Name → role of an input, in the order in which the card lists them."""


def register(role: Role) -> Role:
    """Make a role known by its name, which interface.json uses.

    Raises:
        ValueError: there is another role of that name.
    """
    if type(ROLES.setdefault(role.name, role)) is not type(role):
        raise ValueError(f"there is another role called {role.name}")
    return ROLES[role.name]
