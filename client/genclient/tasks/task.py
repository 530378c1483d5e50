"""What a model does: its task, as the roles of its tensors say."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from genclient.errors import ClientError
from genclient.model.binding import HINT, Assigned, Binding, Roles, assign, fault_of
from genclient.model.inputs import Examples, examples
from genclient.model.role import Given, Role
from genclient.model.signature import ModelInfo

AUTO = "auto"


class Task:
    """A task: what its models take and give, and how a call's arguments become requests and responses results.

    `Task("tint", inputs=[LATENTS, IMAGE], outputs=[IMAGES])` is one; another way to make examples is a subclass with
    `examples` of its own, another kind of tensor a `Role` of its own.

    Attributes:
        name: such as image-generation.
        inputs, outputs: roles by name, those first whose examples others go by.
        noun: what a model of it is called in errors.
        expected: the inputs and the outputs in words.
        cheapest: names of signatures that are tried first, where none is named.
        strict: whether the names of tensors that a user gives have to be this model's.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[Role],
        outputs: Sequence[Role],
        *,
        noun: str | None = None,
        expected: tuple[str, str] | None = None,
        cheapest: Sequence[str] = ("uint8", "serving_default", "seeds", "png"),
        strict: bool = True,
    ) -> None:
        """Take the roles; see `Task`."""
        self.name = name
        self.inputs: Roles = {role.name: role for role in inputs}
        self.outputs: Roles = {role.name: role for role in outputs}
        self.noun = noun or f"a model for {name}"
        self.expected = expected or (f"inputs {_listed(self.inputs)}", f"outputs {_listed(self.outputs)}")
        self._cheapest, self._strict = tuple(cheapest), strict

    def __repr__(self) -> str:
        """Its name."""
        return f"Task({self.name!r})"

    def results(self) -> set[str]:
        """What its results are called."""
        return {role.result for role in self.outputs.values()}

    def bind(self, info: ModelInfo, signature: str, names: Mapping[str, str]) -> Binding:
        """A signature as this task's; `auto` is the cheapest that is one.

        Raises:
            ClientError: there is none of that name, or its tensors are not this task's; the message says what is.
        """
        if signature != AUTO:
            return self._bound(info, signature, names)
        faults = []
        for name in self.by_cost(info):
            try:
                return self._bound(info, name, names)
            except ClientError as error:
                faults.append(error)
        raise faults[0] if faults else ClientError(f"model {info.name!r} has no signatures")

    def fitting(self, info: ModelInfo, signature: str, names: Mapping[str, str]) -> Binding | None:
        """The same, or None."""
        with contextlib.suppress(ClientError):
            return self.bind(info, signature, names)
        return None

    def examples(self, binding: Binding, given: Given) -> Examples:
        """The examples that a call's arguments mean, made part by part.

        Raises:
            UsageError: arguments do not fit each other or the model.
        """
        return examples(binding, given)

    def by_cost(self, info: ModelInfo) -> list[str]:
        """Names of signatures, the cheapest first: by bytes on the wire and time to read them."""
        first = [name for name in self._cheapest if name in info.signatures]
        return first + sorted(set(info.signatures) - set(first))

    def _bound(self, info: ModelInfo, signature: str, names: Mapping[str, str]) -> Binding:
        spec = info.signature(signature)
        if not self._strict:
            names = {role: name for role, name in names.items() if name in {*spec.inputs, *spec.outputs}}
        assigned = assign(spec, names, self.inputs, self.outputs)
        fault = self._missing(assigned) or fault_of(assigned, self.inputs, self.outputs)
        if fault:
            raise ClientError(f"model {info.name!r} is not {self.noun}: signature {signature!r} is {spec}; {fault}")
        return assigned.binding(signature, self.inputs, self.outputs)

    def _missing(self, assigned: Assigned) -> str | None:
        """Whether a role has no tensor, or two that do the same have one each."""
        for words, side, roles in zip(
            self.expected, (assigned.inputs, assigned.outputs), (self.inputs, self.outputs), strict=True
        ):
            for role in roles.values():
                others = [name for name in role.instead if name in side]
                doubled = role.name in side and others and side is assigned.inputs
                if doubled or (role.name not in side and not others and not role.optional):
                    return f"expected {words}; {HINT}"
        return None


def _listed(roles: Roles) -> str:
    return ", ".join(f"{name} (if any)" if role.optional else name for name, role in roles.items())
