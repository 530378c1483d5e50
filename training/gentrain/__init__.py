"""Images in, a run directory out: the training room of genline."""
