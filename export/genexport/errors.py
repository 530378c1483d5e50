"""The exceptions that genexport raises for something the user can fix."""


class ExportError(Exception):
    """A message fit for the user: names the file or layer, what was found and what was expected."""

    exit_code = 1


class UsageError(ExportError):
    """An option that cannot be, whatever lies on the disk."""

    exit_code = 2


class CannotBeMade(ExportError):
    """One file of a version cannot be made of this generator, or not run; the others may be all right."""
