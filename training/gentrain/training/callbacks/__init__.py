"""What happens now and then during `fit`, one file a concern. A Keras epoch is one tick here.

None of this changes what is learned, but for the clock, which says where schedules end. Order matters: the meter is
read by the others, the evaluator and the watch add to the tick's line, the log writes it.

meter.py, stop.py          how far a run is, the clock, Ctrl-C and SIGTERM
evaluator.py, watch.py     metrics and the best snapshot; losses that are not finite, a collapse
log.py, keeper.py          log.jsonl and TensorBoard; checkpoints, networks and image grids
"""

from __future__ import annotations

from collections.abc import Callable

from gentrain.training.checkpoints import Progress

Show = Callable[[Progress, int, dict[str, float]], None]
"""Called every few steps with how far the run is, its total of images, and the latest losses and images_per_second."""

Note = Callable[[str], None]
"""Called with a line that the user should read."""
