"""Image batches from a served (or embedded) generator, without TensorFlow: the client room of genline."""
