"""A Keras generator in, a published version of the model repository out: the export room of genline.

In the order of the data, each package knowing only those above it:

    repository/     versions on disk: the manifest, locks, the rename that publishes
    roles/          what a tensor is for
    generator/      loads a file as a generator
    compare/        is an artifact's output what Keras gives?
    savedmodel/     signatures, batch sizes, warm-up requests
    tflite/         TFLite files; onnx.py writes ONNX
    describe/       the manifest's entries, the model card, pictures
    kinds/          what is published: generators, discriminators, image-to-image models
    publish.py      builds, compares and publishes a version, as options.py says; verify.py checks one later
    commands/       the commands; cli.py is the program

errors.py has the exceptions, run_files.py reads what a run says of itself, progress.py reports long steps, and quiet.py
imports TensorFlow without its notes.
"""
