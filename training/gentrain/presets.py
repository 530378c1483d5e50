"""Where the settings of a training start from. A preset is a function; its docstring says what it is for, how long it
takes and how good it gets, on two CPU cores with bfloat16 (bench/RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gentrain.settings import Settings


def small() -> Settings:
    """Up to 32×32, grey or colour.

    Digits, 28×28: 220 kimg in about three minutes, 1,290 images/s; after 2½ minutes a Fréchet distance of 0.42
    where real images get 0.27. At 32×32 in colour with a second discriminator, on the features of a pretrained net: 190
    images a CPU second; emoji after 28 kimg, 163 CPU seconds, a kernel distance of 0.27 by a net that it does not look
    through, a precision of .61; on pixels alone in the same time 0.62 and .30.
    """
    return Settings(kimg_per_evaluation=55.0)


def quick() -> Settings:
    """The same cut short, to see everything work: 10 kimg, blurred digits, about 20 seconds; Fréchet distance 12.

    Not measured while it trains, and no image is held out; without a second discriminator in colour.
    """
    return Settings(kimg=10.0, kimg_per_tick=1.0, kimg_per_checkpoint=5.0, held_out=0, features_weight=0.0)


def micro() -> Settings:
    """For microcontrollers, 28×28: a generator half as wide, which leaves most of 256 KB of RAM and 1 MB of flash free.

    Digits: 220 kimg in two minutes, 1,850 images/s; after 2½ minutes a Fréchet distance of 0.32 where `small` gets 0.26
    and real images 0.25 (5,000 of each). Its int8 file: docs/embedded.md.
    """
    return Settings(generator_width=24, kimg_per_evaluation=55.0)


def medium() -> Settings:
    """Up to 64×64, in batches of 16; in colour with a second discriminator, on the features of a pretrained net.

    Emoji, 64×64 in colour: 115 images a CPU second, 60 kimg in nine CPU minutes; by a net that it does not look through
    a kernel distance of 0.09 to 0.13 (three runs; pixels alone, an hour: 0.72), a precision of .53 to .63 where real
    images have .92. With 150 kimg 0.065 and .60.
    """
    return Settings(resolution=64, kimg=60.0, batch=16, kimg_per_evaluation=15.0)


def large() -> Settings:
    """Up to 128×128, in batches of 32, which make twice the steps of 64.

    Emoji, 64×64 in colour, on pixels alone: in five minutes 49 to 71 kimg, 217 to 236 images/s, a Fréchet distance of
    2.2 and 1.0. Not measured at 128×128.
    """
    return Settings(resolution=128, kimg=400.0, batch=32, kimg_per_evaluation=50.0)


def translate() -> Settings:
    """Pictures to pictures, up to 64×64: a U-Net, a discriminator of patches, and ten times the L1 distance.

    OpenMoji's black outlines to colour, 64×64, `--hints`, 31 kimg: 4½ CPU minutes with bfloat16; L1 .057 and 16.2 dB
    without dots, .038 and 18.5 dB with three, where the outline as it is has .067 and 14.2 dB. 92 kimg: .056, .033.
    """
    return Settings(
        resolution=64,
        networks="unet",
        conditions="image",
        latent_size=0,
        generator_width=24,
        discriminator_width=24,
        kimg=30.0,
        batch=16,
        flip=True,
        jitter=0.1,
        gamma=1.0,
        shared_pass=True,
        augment=0.0,
        learning_rate=2e-3,
        learning_rate_final=2e-4,
        kimg_per_tick=1.0,
        kimg_per_checkpoint=5.0,
        kimg_per_evaluation=5.0,
        best_by="l1",
    )


def style() -> Settings:
    """Pictures in the style of others, up to 64×64: residual blocks, a discriminator and a contrast of patches.

    Google's emoji as OpenMoji draws, 64×64, 8 kimg: three CPU minutes; a classifier takes 99% of them for OpenMoji's,
    and the Fréchet distance falls from 177 to 3.5. As Twitter draws: 68%, and from 50 to 5.2.
    """
    return replace(
        translate(),
        networks="residual",
        conditions="unpaired",
        discriminator_width=32,
        kimg=8.0,
        batch=4,
        jitter=Settings.jitter,
        # The penalties keep the discriminator's slope small, and the contrast at the weight of CUT would outvote it.
        nce=0.25,
        nce_identity=0.0,
        beta_1=0.5,
        # bfloat16 makes grids in colour elsewhere, and is hardly faster here.
        precision="float32",
        kimg_per_checkpoint=2.0,
        kimg_per_evaluation=2.0,
        best_by=Settings.best_by,
    )


def animate() -> Settings:
    """Stills to clips of 16 frames, up to 64×64: a U-Net that says what moves, and what comes there."""
    return replace(translate(), networks="animate", conditions="still", frames=16, kimg=20.0)


def clips() -> Settings:
    """Clips of 16 frames from latents, up to 32×32: one picture that travels over another.

    Moving digits, 32×32: 919 CPU seconds with bfloat16, 218 clips a second; a Fréchet distance of 3.5 where real clips
    get 3.2, and 15 with their frames shuffled.
    """
    return Settings(networks="moving", frames=16, kimg=200.0, batch=32, kimg_per_evaluation=0.0)


def text() -> Settings:
    """Pictures from words, up to 32×32: words beside the latents, likeness to real pictures, a contrast of captions.

    Captioned emoji, 32×32 in colour: 180 images a CPU second, 200 kimg in eighteen CPU minutes; of 100 captions the own
    one is found for .432 of the pictures, for .234 of those of other things, for .660 and .691 of real ones. A third of
    the usual penalties, since the discriminator has captions to tell apart too. Not measured while it trains: the
    snapshot that the Fréchet distance found best in a run of an earlier recipe was of few words.
    """
    return Settings(
        networks="drawn",
        generator_width=64,
        captions="auto",
        conditions="tokens",
        likeness=8.0,
        diversity=0.0,
        gamma=3.0,
    )


def _as_published(**settings: object) -> Settings:
    """The recipe of the tutorials: Adam at a constant rate, bce, no gradient penalty, and hardly any EMA."""
    published = {
        "loss": "bce", "gamma": 0.0, "gamma_final": 0.0, "augment": 0.0, "shared_pass": True, "dropout": 0.3,
        "learning_rate": 1e-4, "learning_rate_final": 1e-4, "beta_1": 0.9, "beta_2": 0.999,
        "ema_halflife_kimg": 0.0, "latent_size": 100,
    }  # fmt: skip
    return Settings(**{**published, **settings})  # type: ignore[arg-type]


def dcgan28() -> Settings:
    """The tutorials' 28×28 pair: from 7×7×128 with BatchNorm, for comparison.

    Digits: 188 kimg in 2½ minutes, 1,280 images/s; Fréchet distance 23.
    """
    return _as_published(networks="dcgan28", resolution=28, generator_width=64, discriminator_width=64, kimg=250.0)


def tf_tutorial() -> Settings:
    """TensorFlow's DCGAN tutorial, 28×28 from 7×7×256, its loss, optimiser and batch of 256, for comparison.

    Digits: 1,010 images/s, 1.9 times the tutorial's own loop; after 2½ minutes that has a Fréchet distance of 83.
    """
    return _as_published(
        networks="dcgan28", resolution=28, generator_width=128, discriminator_width=64, batch=256, kimg=3000.0
    )


def dcgan64() -> Settings:
    """The tutorials' 64×64 generator, from 4×4×128, with a discriminator that fits it: theirs is for 28×28×3.

    Emoji: 54 kimg in five minutes, 182 images/s; Fréchet distance 58.
    """
    return _as_published(networks="dcgan64", resolution=64, generator_width=128, discriminator_width=64, kimg=500.0)


def celeba64() -> Settings:
    """The tutorials' 64×64 CelebA pair: 1024–512–256 channels, and a discriminator of convolutions and max-pooling.

    Emoji: 11 kimg in five minutes, 38 images/s; Fréchet distance 104.
    """
    return _as_published(networks="celeba64", resolution=64, generator_width=256, discriminator_width=64, kimg=500.0)


PRESETS: dict[str, Callable[[], Settings]] = {
    "small": small,
    "quick": quick,
    "micro": micro,
    "medium": medium,
    "large": large,
    "translate": translate,
    "style": style,
    "animate": animate,
    "clips": clips,
    "text": text,
    "dcgan28": dcgan28,
    "tf-tutorial": tf_tutorial,
    "dcgan64": dcgan64,
    "celeba64": celeba64,
}
DEFAULT_PRESET, TRANSLATION_PRESET, STYLE_PRESET, TEXT_PRESET = "small", "translate", "style", "text"
ANIMATION_PRESET, CLIPS_PRESET = "animate", "clips"
