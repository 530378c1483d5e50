"""The one exception that gentrain raises for something the user can mend."""


class TrainError(Exception):
    """A message fit for the user: names the file or setting, what was found and what was expected."""
