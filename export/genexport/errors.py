"""The one exception that genexport raises for something the user can mend."""


class ExportError(Exception):
    """A message fit for the user: names the file or layer, what was found and what was expected."""
