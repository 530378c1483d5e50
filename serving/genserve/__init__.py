"""An embedded server that answers as TensorFlow Serving does: the serving room of genline."""
