"""Every number and choice that decides a training. No TensorFlow here; the starting points are in presets.py."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from gentrain.data.dataset import MAX_MEGAPIXELS, Frame
from gentrain.data.sizes import Size, both
from gentrain.data.sizes import parse as parse_resolution
from gentrain.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """What a training is made of; `gentrain fit --set name=value` changes one."""

    # Images
    resolution: int | str = 32  # the side in pixels, smaller squares of one size stay as they are; or WIDTHxHEIGHT
    channels: int = 0  # 1, 3, or 0 for what the images have
    crop: str = "center"  # to the middle; pad: all of it on the background; none: squeezed
    background: str = "white"  # under transparent pixels and around padded images: a colour's name or #rrggbb
    value_range: str = ""  # LOW:HIGH, what is black and white in images of more than 8 bits; empty: what fits them all
    max_megapixels: float = MAX_MEGAPIXELS  # larger images are skipped
    split: str = "train"  # of data with splits; all for every one
    input_from: str = ""  # translation without pairs: inputs are made of the images: outline, grey, blur, small, mask
    input_side: str = "left"  # translation of pairs side by side in one file: which half is the input
    style: str = ""  # translation without pairs: the source of the pictures that those of the data are to look like
    labels: str = "auto"  # where classes come from: auto, folders, from-name[:PATTERN], none, or a column's name
    captions: str = ""  # where captions come from: auto, classes, or a column's name; empty: none are read
    frames: int = 0  # of a clip, for what moves; 0: pictures
    fps: float = 12.0  # frames a second that clips are cut at; 0: every frame that a file has
    short: str = "loop"  # a file of fewer frames than a clip has; skip: it is left out
    loop: bool = False  # the last frame of a clip made of latents leads to its first
    cells: str = ""  # COLUMNSxROWS of sprite sheets, of which each is a clip; empty: pictures are none
    flip: bool = False  # mirror each image left to right half of the time
    jitter: float = 0.0  # move each image at random, by at most this part of each side; its edges are repeated
    conditional: bool = False  # the generator takes the classes of the data as `labels`
    conditions: str = ""  # what else both networks take: names registered with gentrain.conditions, with commas

    # Networks
    networks: str = "genline"
    latent_size: int = 32  # Z; 0 for a generator of pictures alone, without latents
    generator_width: int = 48  # channels of its convolutions
    discriminator_width: int = 32
    dropout: float = 0.0  # in the discriminators of the published pairs
    spectral_norm: bool = False  # on every weight of the discriminator

    # Length: `minutes` above 0 ends the run by the clock, whatever `kimg` says
    kimg: float = 220.0  # thousand real images shown to the discriminator
    minutes: float = 0.0
    batch: int = 64  # images per step
    seed: int = 0  # of weights, noise and the order of the data

    # Loss and augmentation
    loss: str = "rpgan"
    gamma: float = -1.0  # weight of the gradient penalties R1 and R2, with any loss; 0: none; below 0: what fits
    gamma_final: float = -1.0  # reached along a cosine over the run; below 0: the same as at first
    augment: float = -1.0  # DiffAugment: the part of the images that is changed, at most; below 0: what fits
    augment_target: float = 0.75  # it rises and falls to hold the discriminator's accuracy here; 0: a ramp
    augment_ramp: float = 0.5  # the part of the run over which the ramp rises from 0 to `augment`
    features_weight: float = -1.0  # of a discriminator on a pretrained net's features; 0: none; below 0: what fits
    frames_weight: float = 1.0  # of a discriminator on single frames, beside that on clips made of latents; 0: none
    l1: float = 10.0  # weight of the distance to the right answer, where there is one: the condition image
    nce: float = 1.0  # weight of the patch-wise contrast that keeps the content, where there are no pairs
    nce_identity: float = 1.0  # and of the same for pictures of the style, which are to stay as they are
    mismatch: float = 1.0  # weight of finding a picture's caption among those of the batch: the condition tokens
    likeness: float = 2.0  # and of the distance in colours from the picture that has the caption
    likeness_features: float = -1.0  # and of that in what a pretrained net sees; below 0: what fits
    diversity: float = 0.5  # and of a distance that the pictures of one caption are to keep; it grows to that
    adversarial: float = 1.0  # weight of the adversarial loss in what the generator learns from; 0: no GAN at all
    shared_pass: bool = False  # both networks learn from one pass, as in the TensorFlow tutorial: faster, learns less

    # Optimisation (Adam for both networks)
    learning_rate: float = 2e-3
    learning_rate_final: float = 3e-4  # reached along a cosine over the run
    beta_1: float = 0.0
    beta_2: float = 0.99
    ema_halflife_kimg: float = 44.0  # of the generator's EMA, the one that is kept
    ema_rampup: float = 0.05  # the half-life is never more than this part of the images seen so far
    precision: str = "auto"  # of the arithmetic; weights, sums and what is kept are float32

    # Reports
    kimg_per_tick: float = 5.0  # a line of log.jsonl
    kimg_per_checkpoint: float = 20.0  # a checkpoint, generator.keras and an image grid of samples
    kimg_per_evaluation: float = 0.0  # Fréchet distance and the rest in the log, and the best snapshot kept; 0: never
    best_by: str = "frechet"  # the metric that decides which snapshot is the best
    held_out: int = -1  # images that are never trained on, to measure by; below 0: a tenth or so; 0: none

    def __post_init__(self) -> None:
        """Raises UsageError for a value outside its range."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in RANGES:
                low, high = RANGES[field.name]
                if not (math.isfinite(value) and low <= value <= high):
                    raise UsageError(f"{field.name} must be from {low:g} to {high:g}, got {value:g}")
            elif field.name in CHOICES and value not in CHOICES[field.name]:
                raise UsageError(f"{field.name} must be one of {', '.join(CHOICES[field.name])}, got {value!r}")
        if self.best_by in PAIRED and not {"image", "still"} & {*self.conditions.split(",")}:
            raise UsageError(f"best_by {self.best_by} needs pairs to compare with: conditions=image")
        self.frame  # noqa: B018, raises for images that cannot be

    @property
    def frame(self) -> Frame:
        """Which images are used, and how."""
        return Frame(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Frame)})

    @property
    def shown_fps(self) -> float:
        """Frames a second that clips are played at: 12 where every frame of a file was taken."""
        return self.fps or UNKNOWN_FPS

    @property
    def seen_through(self) -> str:
        """The pretrained net that the training looks through, which cannot judge it; empty for none."""
        if getattr(self, "features_weight", 0.0) > 0:
            return "lite0"
        return "lite1" if getattr(self, "likeness_features", 0.0) > 0 else ""

    def resolved(self, size: Size, channels: int, precision: str) -> Settings:
        """The same with nothing left open: what fits images of a size, and a machine's best precision.

        Colour gives the discriminator more to go by: it needs ten times the penalty (measured on emoji and digits).
        With the resolution γ grows as the number of pixels (arXiv 1912.04958). It does not fall: where it does, D
        memorises few images in longer trainings. Colour images are augmented as far as D gets ahead; grey ones
        gain nothing by it. Of larger colour images a second discriminator sees outlines that the one on pixels misses:
        with `FEATURES` its gradient at the large shapes is as long as the other's for three quarters of the run; where
        it is twelve times as long, the other has no say in colours (measured on emoji). Where features are looked
        at the arithmetic is float32: bfloat16 fills flat areas with a grid there, and is hardly faster.
        """
        shorter, pixels = min(both(size)), math.prod(both(size))
        gamma = self.gamma if self.gamma >= 0 else (1.0 if channels == 1 else 10.0) * max(1.0, pixels / 32**2)
        final = self.gamma_final if self.gamma_final >= 0 else gamma
        augment = self.augment if self.augment >= 0 else (0.0 if channels == 1 else 0.8)
        features = self.features_weight
        if features < 0:
            fits = channels == 3 and shorter >= FEATURES_SMALLEST and pixels <= FEATURES_PIXELS
            features = FEATURES if fits and (self.networks, self.loss) == ("genline", "rpgan") else 0.0
        likeness = self.likeness_features
        if likeness < 0:
            fits = "tokens" in self.conditions and channels == 3 and shorter >= LIKENESS_SMALLEST
            likeness = LIKENESS_FEATURES if fits else 0.0
        if self.precision != "auto":
            precision = self.precision
        elif features or likeness:
            precision = "float32"
        settled = dataclasses.replace(self, gamma=gamma, gamma_final=final, augment=augment, precision=precision)
        return dataclasses.replace(settled, features_weight=features, likeness_features=likeness)


UNKNOWN_FPS = 12.0

FEATURES = 0.4
FEATURES_SMALLEST, FEATURES_PIXELS = 32, 96**2
"""Where the second discriminator fits: from this side, up to as many pixels. With more of them γ is larger and the
first one weaker: not measured."""

LIKENESS_FEATURES, LIKENESS_SMALLEST = 4.0, 24
"""The weight of likeness in features, of colour images at least so large; in smaller ones the net sees nothing."""

RANGES: dict[str, tuple[float, float]] = {
    "latent_size": (0, 4096),
    "generator_width": (1, 1024),
    "discriminator_width": (1, 1024),
    "jitter": (0, 0.5),
    "dropout": (0, 0.9),
    "kimg": (1e-3, 1e9),
    "minutes": (0, 1e6),
    "batch": (2, 8192),
    "seed": (0, 2**31 - 1),
    "frames_weight": (0, 1e6),
    "l1": (0, 1e6),
    "nce": (0, 1e6),
    "nce_identity": (0, 1e6),
    "mismatch": (0, 1e6),
    "likeness": (0, 1e6),
    "likeness_features": (-1, 1e6),
    "diversity": (0, 1e6),
    "adversarial": (0, 1e6),
    "gamma": (-1, 1e6),
    "gamma_final": (-1, 1e6),
    "augment": (-1, 1),
    "augment_ramp": (0, 1),
    "augment_target": (0, 1),
    "features_weight": (-1, 1000),
    "learning_rate": (0, 1),
    "learning_rate_final": (0, 1),
    "beta_1": (0, 0.9999),
    "beta_2": (0, 0.99999),
    "ema_halflife_kimg": (0, 1e6),
    "ema_rampup": (0, 1e6),
    "kimg_per_tick": (1e-3, 1e9),
    "kimg_per_checkpoint": (1e-3, 1e9),
    "kimg_per_evaluation": (0, 1e9),
    "held_out": (-1, 1e6),
}

CHOICES: dict[str, tuple[str, ...]] = {
    "networks": (
        "genline",
        "drawn",
        "dcgan28",
        "dcgan64",
        "celeba64",
        "unet",
        "residual",
        "animate",
        "moving",
    ),  # files of gentrain/networks
    "loss": ("rpgan", "bce", "lsgan", "hinge", "wgan-gp"),  # files of gentrain/losses
    "precision": ("auto", "float32", "bfloat16"),
    "best_by": ("frechet", "kernel", "precision", "recall", "density", "coverage", "l1", "psnr", "ssim"),
}

# Of these a translation has a value, beside `frechet`.
PAIRED = ("l1", "psnr", "ssim")

# What runs did before there was a setting.
BEFORE: dict[str, Any] = {"held_out": 0, "features_weight": 0.0, "likeness": 0.0, "likeness_features": 0.0}

# Reports do not change what is learned, a longer run goes on where a shorter one ended, and whether pictures that moved
# are the same is a matter of their fingerprint.
MAY_CHANGE = frozenset(
    {"kimg", "minutes", "kimg_per_tick", "kimg_per_checkpoint", "kimg_per_evaluation", "best_by", "style"}
)


def parse_change(text: str) -> tuple[str, Any]:
    """`name=value` as given to --set → (name, value of the setting's type).

    Raises:
        UsageError: no such setting, or a value that is not of its type.

    >>> parse_change("latent_size=64"), parse_change("flip=yes")
    (('latent_size', 64), ('flip', True))
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    types = {name: type(value) for name, value in dataclasses.asdict(Settings()).items()}
    if not equals:
        raise UsageError(f"--set takes name=value, got {text!r}")
    if name not in types:
        raise UsageError(f"--set {name}: no such setting; there are {', '.join(types)}")
    if types[name] is bool:
        if value.lower() not in SWITCH:
            raise UsageError(f"--set {name}: expected 1 or 0, got {value!r}")
        return name, SWITCH[value.lower()]
    if name == "resolution":
        return name, parse_resolution(value)
    try:
        return name, types[name](value)
    except ValueError:
        kind = "a whole number" if types[name] is int else "a number"
        raise UsageError(f"--set {name}: expected {kind}, got {value!r}") from None


SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
