"""The exceptions that gentrain raises for something the user can mend."""


class TrainError(Exception):
    """A message fit for the user: names the file or setting, what was found and what was expected."""

    exit_code = 1


class UsageError(TrainError):
    """An option or a setting that cannot be, whatever lies on the disk."""

    exit_code = 2
