"""One file a command: its options, one call of the room beneath, and what it prints.

fit.py, presets.py, data.py, evaluate.py, report.py   the commands of the same names
augment.py                                            `gentrain augment`; the work itself is in augmentation/
augment_study.py                                      `gentrain augment-study`; the study itself is in study/
detector.py                                           `gentrain detector`; the detector itself is in gentrain.detection
encoder.py, project.py                                from pictures to latents
subject.py                                            what `gentrain evaluate` measures: of a run, or a bare file
generated.py, translated.py, styled.py                how: images; pictures from pictures, with pairs and without
animated.py                                           and clips of stills
reading.py, aside.py, options.py                      what several commands share
"""
