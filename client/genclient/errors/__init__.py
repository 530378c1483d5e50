"""The exceptions of genclient: a message fit for a user, and the exit code that belongs to it. Prints nothing.

`reasons.py` explains why a call failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genclient.errors.reasons import explain

if TYPE_CHECKING:
    import grpc

MAX_MESSAGE = 2000
"""Characters of a message, at most; TensorFlow Serving ends its own after 1024."""


class ClientError(Exception):
    """What went wrong, in one line that names the thing at fault, what was found and what was expected.

    Attributes:
        exit_code: 1 for a failure, 2 for wrong usage, 64 + the gRPC status code for an RPC error.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        """Take a message from anywhere, a server included, and keep it to one line of printable characters."""
        line = one_line(message[: 4 * MAX_MESSAGE])
        super().__init__(line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}…")
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as it is: exceptions are made again from `args` otherwise, which are not what made it."""
        return _restored, (type(self), self.args, self.__dict__)


class UsageError(ClientError):
    """A request that cannot be meant as it was written; exit code 2."""

    def __init__(self, message: str) -> None:
        """Take the message; the exit code is given."""
        super().__init__(message, exit_code=2)


class RpcError(ClientError):
    """A call that a server refused, or that did not reach one; exit code 64 + the gRPC status.

    Attributes:
        target: the address of the server.
        code: the `grpc.StatusCode`.
        details: the server's message in its own words, or gRPC's where no server responded.
        proxy: what was between, in words; empty where nothing was.
    """

    def __init__(self, target: str, code: grpc.StatusCode, details: str, note: str = "", proxy: str = "") -> None:
        """Word a status and its details for a user; `note` goes to the end, `proxy` is what was between."""
        self.target = target
        self.code = code
        self.details = details
        self.proxy = proxy
        super().__init__(explain(target, code.name, details, proxy) + note, exit_code=64 + code.value[0])


class VersionGoneError(RpcError):
    """The version that the first images of a call came from is no longer served: the rest would come from another."""


def _restored(kind: type[ClientError], arguments: tuple[Any, ...], state: dict[str, Any]) -> ClientError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


def one_line(text: str) -> str:
    """`text` with runs of white space as one space, and printable."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """`text` with control characters as `?`, so that nothing a server says steers a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
