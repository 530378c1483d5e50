"""Which tensor of a signature has which role: latents, labels, images … under whatever names a model gives them.

Models that genexport made have these very names. Of others a user says them (`names={"latents": "z"}`), or one tensor
alone can be meant. A signature is then put in genline's words, with the model's own names beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.model.role import Role
from genclient.model.signature import SignatureSpec, TensorSpec
from genclient.rpc import codec

HINT = "say which tensor is which with names (--map), such as latents=z"

Roles = Mapping[str, Role]


@dataclass(frozen=True)
class Binding:
    """A signature whose tensors have roles.

    Attributes:
        signature: its name.
        spec: the signature with genline's names for its tensors.
        names: the model's name of each.
        inputs, outputs: the roles by genline's names.
    """

    signature: str
    spec: SignatureSpec
    names: Mapping[str, str]
    inputs: Roles
    outputs: Roles

    def fill(self, request: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Put arrays, by genline's names, into a wire.PredictRequest, as the model wants to have them.

        Raises:
            UsageError: a number is beyond what the model's type can hold.
        """
        for name, array in arrays.items():
            sent = self.inputs[name].sent(array, self.spec.inputs[name])
            request.inputs[self.names[name]].CopyFrom(codec.encode(sent))

    @property
    def fixed_batch(self) -> int | None:
        """The examples of a request, where the model takes no other number."""
        sizes = [spec.shape[0] for spec in self.spec.inputs.values() if spec.shape]
        return next((size for size in sizes if size), None)


@dataclass(frozen=True)
class Assigned:
    """Tensors by role, as (the model's name, spec), and the inputs that have none."""

    inputs: Mapping[str, tuple[str, TensorSpec]]
    outputs: Mapping[str, tuple[str, TensorSpec]]
    other: list[str]

    def binding(self, signature: str, inputs: Roles, outputs: Roles) -> Binding:
        """The same as a Binding."""
        taken = {name: spec for name, (_, spec) in self.inputs.items()}
        given = {name: spec for name, (_, spec) in self.outputs.items()}
        names = {role: name for side in (self.inputs, self.outputs) for role, (name, _) in side.items()}
        return Binding(signature, SignatureSpec(taken, given), names, inputs, outputs)


def assign(spec: SignatureSpec, names: Mapping[str, str], inputs: Roles, outputs: Roles) -> Assigned:
    """Tensors by role: as named, else of the role's own name, else the only one left that fits it.

    Raises:
        UsageError: a name is no tensor's.
    """
    taken, other = _assign_side(spec.inputs, names, inputs)
    given, _ = _assign_side(spec.outputs, names, outputs)
    return Assigned(taken, given, other)


def fault_of(assigned: Assigned, inputs: Roles, outputs: Roles) -> str | None:
    """What keeps tensors from having the roles that they have by name, or None."""
    for tensors, roles in ((assigned.inputs, inputs), (assigned.outputs, outputs)):
        for role, (_, spec) in tensors.items():
            if (fault := roles[role].fault(spec)) is not None:
                return fault
    return f"expected no input {assigned.other[0]!r}; {HINT}" if assigned.other else None


def check_names(names: Mapping[str, str], roles: Iterable[str]) -> None:
    """See that names are given to tensors that there are.

    Raises:
        UsageError: they are not.
    """
    known = sorted(set(roles))
    for role, name in names.items():
        if role not in known or not isinstance(name, str):
            raise UsageError(f"names: found {role!r}: {name!r}, expected the model's name for {', '.join(known)}")


def _assign_side(
    tensors: Mapping[str, TensorSpec], names: Mapping[str, str], roles: Roles
) -> tuple[dict[str, tuple[str, TensorSpec]], list[str]]:
    assigned: dict[str, tuple[str, TensorSpec]] = {}
    for role in roles:
        name = names.get(role, role)
        if role in names and name not in tensors:
            raise UsageError(f"names: found {name!r} for {role}, expected one of {', '.join(sorted(tensors))}")
        if name in tensors:
            assigned[role] = name, tensors[name]
    for role, expected in roles.items():
        left = [name for name in tensors if name not in {name for name, _ in assigned.values()}]
        fitting = [name for name in left if expected.fits(tensors[name])]
        open_still = role not in assigned and not set(expected.instead) & set(assigned)
        if open_still and expected.guessed and len(fitting) == 1:
            assigned[role] = fitting[0], tensors[fitting[0]]
    taken = {name for name, _ in assigned.values()}
    return assigned, [name for name in sorted(tensors) if name not in taken]
