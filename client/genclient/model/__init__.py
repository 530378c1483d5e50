"""What a model takes and gives.

signature.py         what it says about itself: signatures, tensors, shapes
role.py              what a tensor can be for; genline's are in roles.py, picture_roles.py, text_roles.py, clip_roles.py
binding.py           which tensor has which role
inputs.py            the examples that are sent
classes.py           names of classes
vocabulary.py        from texts to tokens, and words that are not known
tflite_metadata.py   what a TFLite file says about itself
describe.py          all that in words
"""
