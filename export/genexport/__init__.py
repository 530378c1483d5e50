"""A Keras generator in, a published version of the model repository out: the export room of genline."""
