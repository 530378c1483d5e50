"""The commands of genexport, one a file: options in, one call of the library, results on stdout, progress on stderr."""
