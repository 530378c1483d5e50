"""The one exception of genclient: a message fit for a user, and the exit code that belongs to it. Prints nothing."""

from __future__ import annotations


class ClientError(Exception):
    """What went wrong, in one line that names the thing at fault, what was found and what was expected.

    Attributes:
        exit_code: 1 for a failure, 2 for wrong usage, 64 + the gRPC status code for an RPC error.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        """Take a message from anywhere, a server included, and keep it to one line of printable characters."""
        super().__init__(one_line(message))
        self.exit_code = exit_code


class UsageError(ClientError):
    """A request that cannot be meant as it was written; exit code 2."""

    def __init__(self, message: str) -> None:
        """Take the message; the exit code is given."""
        super().__init__(message, exit_code=2)


def one_line(text: str) -> str:
    """`text` with runs of white space as one space, and printable."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """`text` with control characters as `?`, so that nothing a server says steers a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
