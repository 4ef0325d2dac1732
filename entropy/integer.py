"""The probability model in exact integers: what alone codes and decodes.

The layers are those of entropy/exact_layer.py, the order that of entropy/walk.py. Activations are in units of 1/64,
outputs of 1/256.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from entropy.blank import Blank
from entropy.coder import Coder, Decoder, Encoder, Models
from entropy.config import CHANNELS, PHASES, Config
from entropy.exact_layer import IntegerLayer, NotExact
from entropy.graph import LARGEST, OUT, Graph
from entropy.latent import Latent
from entropy.layers import Layer
from entropy.levels import arrays_by_level
from entropy.prior import Prior
from entropy.quantisation import OCTAVE, Quantisation
from entropy.rounding import Rounding
from entropy.tables import LOG2_SMALLEST, SCALES, Tables, logistic_tables
from entropy.walk import Step, level_steps, side_steps

QUALITY_UNITS = 25600  #: a quality 0..100 in 1/256
COARSE = 1 << 16  #: unit of parameters that are interpolated between qualities
FEATURE_RANGE = LARGEST

Report = Callable[[float], None]  #: told what share of a latent has been coded since the last call; 1 in all


def interpolate(table: np.ndarray, quality: int) -> np.ndarray:
    """knots x C integers at a quality in 1/256, rounded down: exact."""
    position = quality * (len(table) - 1)
    index = min(position // QUALITY_UNITS, len(table) - 2)
    share = position - index * QUALITY_UNITS
    a, b = table[index].astype(np.int64), table[index + 1].astype(np.int64)
    return (a * (QUALITY_UNITS - share) + b * share) // QUALITY_UNITS


def _placed(low: np.ndarray, group: list[int]) -> np.ndarray:
    """What is said of channels 0 to 2 (3,h,w), as flat values of a group's channels, 0 for the others."""
    out = np.zeros((len(group), *low.shape[1:]), np.float32)
    for i, channel in enumerate(group):
        if channel < 3:
            out[i] = low[channel]
    return out.reshape(-1)


def _slices(group: list[int]) -> list[tuple[slice, slice]]:
    """A list of channels as slices, which takes a third of the time that indexing with the list does.

    The channels are consecutive, or one or two of each three colours. Pairs: a slice of the group, and the slice of all
    channels that it is.
    """
    step = 1 if group[-1] - group[0] + 1 == len(group) else 3
    starts = [c for c in group if c < group[0] + min(step, 2)]
    out = [(slice(i, None, len(starts)), slice(c, group[-1] + 1, step)) for i, c in enumerate(starts)]
    if sorted(c for _, channels in out for c in range(group[-1] + 1)[channels]) != group:
        raise ValueError(f"channels {group} are neither consecutive nor colours")
    return out


def _integer_graph(graph: Graph) -> Graph:
    """The graph itself, in place, its layers and parameters turned into integers."""

    def replace(module: nn.Module) -> None:
        for name, child in module.named_children():
            if isinstance(child, Layer):
                setattr(module, name, IntegerLayer.of(child))
            else:
                replace(child)

    replace(graph)
    for level in (graph.side, *graph.levels):
        level.phase = nn.Parameter(torch.round(level.phase.detach() * 64), requires_grad=False)
    graph.quality = nn.ParameterList(
        nn.Parameter(torch.round(q.detach() * 64 * 256), requires_grad=False) for q in graph.quality
    )
    return graph.eval()


class _Numbers(NamedTuple):
    """What is not the network's: of each of the C channels of the side latent or of a level, at one quality."""

    coded: np.ndarray  #: whether it is coded
    own: np.ndarray  #: float32: log2(deviation x gain), in 1/256; far below the lowest scale where it is dropped
    gain: np.ndarray  #: float32: steps that a mean of 1 is, in 1/256
    weight: np.ndarray | None  #: bits that a squared step is worth in rounding
    mask: np.ndarray | None  #: h,w: what that is multiplied with

    @classmethod
    def of(
        cls,
        coded: np.ndarray,
        own: np.ndarray,
        gain: np.ndarray,
        weight: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> _Numbers:
        # a band that this quality drops has the lowest scale: it is skipped
        own = np.where(coded, own, -(1 << 20)).astype(np.float32)
        return cls(coded, own, gain.astype(np.float32), weight, mask)

    def worth(self, step: Step, at: np.ndarray) -> np.ndarray | None:
        """The weights of what a step codes; at: places in its n,h,w."""
        if self.weight is None:
            return None
        height, width = step.out.shape[2:]
        weight: np.ndarray = self.weight[step.group][at // (height * width)]
        if self.mask is not None:
            weight = weight * self.mask[step.y :: 2, step.x :: 2].reshape(-1)[at % (height * width)]
        return weight


class _Coded:
    """The integers of one level or of the side latent, 1,C,h,w, filled in as the walk comes by.

    The methods that the walk calls are those of `walk.Known`.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        numbers: _Numbers,
        wanted: np.ndarray | None,
        stepped: Callable[[], None] | None = None,
    ):
        """shape: C,h,w; wanted: to be coded, C,h,w (None: to be decoded); stepped: called after each phase."""
        channels, height, width = shape
        self.numbers, self.wanted, self.stepped = numbers, wanted, stepped
        self.k = torch.zeros(1, channels, height, width, dtype=torch.float32)
        #: channels innermost, as the convolutions have it
        self.padded = torch.zeros(1, height + 2, width + 2, 2 * channels, dtype=torch.float32).permute(0, 3, 1, 2)
        self.features = self.padded[:, :, 1:-1, 1:-1]

    def codes(self, group: list[int]) -> bool:
        return bool(self.numbers.coded[group].any())

    def around(self) -> Tensor:
        return self.padded

    def here(self, channels: list[int], y: int, x: int) -> Tensor:
        return self.features[:, channels, y::2, x::2].contiguous(memory_format=torch.channels_last)

    def low(self) -> Tensor:
        return self.k[:, :3].clamp(-LARGEST, LARGEST)

    def all(self) -> Tensor:
        return self.features

    def finished(self, y: int, x: int) -> None:
        if self.stepped:
            self.stepped()

    def put(self, step: Step, values: np.ndarray, features: np.ndarray) -> None:
        """What was coded in a step, and asinh of it: n,h,w float32."""
        band = self.k.shape[1]
        made, signed = torch.from_numpy(values), torch.from_numpy(features)
        magnitudes = signed.abs()
        for part, channels in _slices(step.group):
            self.k[0, channels, step.y :: 2, step.x :: 2] = made[part]
            self.features[0, :band][channels, step.y :: 2, step.x :: 2] = signed[part]
            self.features[0, band:][channels, step.y :: 2, step.x :: 2] = magnitudes[part]

    def values(self) -> np.ndarray:
        """All of them, C,h,w int32."""
        return self.k[0].numpy().astype(np.int32)


class IntegerPrior(nn.Module):
    """The exact model (integer networks: Balle, Johnston, Minnen, "Integer networks for data compression with
    latent-variable models", ICLR 2019): `encode` and `decode` drive the same walk with the same integers.

        side, k -> walk over the graph (entropy/walk.py) -> m, l of each step -> index, fraction, base -> range coder

        index = 4 (l + own - smallest);   base + fraction = m x mean_gain, + linear prediction for the low band

    side, k: side latent (hyper-latent) and coefficients, as in `Latent`
    m, l: mean and log2 of the scale as the network has them, in 1/256
    own: log2(deviation x gain) of a band channel at the quality, in 1/256; smallest: `LOG2_SMALLEST`
    index: of the scale, 0..46; 0 is not coded, and k is 0 there
    base, fraction: integer part of the mean, and eighths of a step; a table (entropy/tables.py) belongs to index and
    fraction, and gives the probability of k - base

    Made by `from_prior` at export; `arrays` and `from_arrays` are its form in a weights file.
    """

    def __init__(
        self,
        config: Config,
        graph: Graph,
        own: np.ndarray,
        mean_gain: np.ndarray,
        coded_from: np.ndarray,
        tables: Tables,
    ):
        """graph: of `IntegerLayer`s; own, mean_gain, coded_from: knots,39 int64, in units of 2^-14, 2^-14 and 2^-16
        (see `from_prior`). NotExact where a sum of a layer could be inexact.
        """
        super().__init__()
        for module in graph.modules():
            if isinstance(module, IntegerLayer):
                module.check()
                module.prepare()
        self.config, self.graph = config, graph
        self.own, self.mean_gain, self.coded_from = own, mean_gain, coded_from
        self.tables, self.models, self.rounding = tables, Models(tables), Rounding(tables)
        values = np.round(np.arcsinh(np.arange(-FEATURE_RANGE, FEATURE_RANGE + 1, dtype=np.float64)) * 64)
        self.features_are(values)

    @classmethod
    @torch.no_grad()
    def from_prior(
        cls, prior: Prior, log2_own: np.ndarray, mean_gain: np.ndarray, log2_start: np.ndarray
    ) -> IntegerPrior:
        """From the trained model and its knots x channels: log2(deviation x gain), mean gain, log2(deviation x
        starting gain), the last less the threshold at which a band is coded.
        """
        whole = lambda a, unit: np.round(a * unit).astype(np.int64)  # noqa: E731
        graph = _integer_graph(copy.deepcopy(prior.graph).cpu())
        return cls(
            prior.config,
            graph,
            whole(log2_own, OUT * 64),
            whole(mean_gain, OUT * 64),
            whole(log2_start, COARSE),
            logistic_tables(),
        )

    def features_are(self, values: np.ndarray) -> None:
        """Set the table of asinh(k) in 1/64, from -FEATURE_RANGE to FEATURE_RANGE."""
        self.feature_values = values.astype(np.float32)
        self.feature_table = torch.from_numpy(self.feature_values)

    # -- as arrays -----------------------------------------------------------------------------
    _NUMBERS = ("own", "mean_gain", "coded_from")

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as integer arrays."""
        out = {name: getattr(self, name).astype(np.int32) for name in self._NUMBERS}
        out["features"] = self.feature_table.numpy().astype(np.int16)
        out |= {f"tables.{field}": value for field, value in zip(Tables._fields, self.tables)}
        for key, value in self.graph.state_dict().items():
            array = value.numpy()
            small = np.abs(array).max(initial=0) <= 32767
            out["graph." + key] = np.ascontiguousarray(array.astype(np.int16 if small else np.int32))
        return out

    @classmethod
    def from_arrays(cls, config: Config, arrays: dict[str, np.ndarray]) -> IntegerPrior:
        """The inverse of `arrays`; NotExact or KeyError or ValueError where they are not what `arrays` gives."""
        with Blank():
            graph = Graph(config, IntegerLayer).requires_grad_(False).eval()
        graph.load_state_dict(
            {k[6:]: torch.from_numpy(v.astype(np.float32)) for k, v in arrays.items() if k.startswith("graph.")},
            assign=True,
        )
        tables = Tables(*(arrays[f"tables.{field}"] for field in Tables._fields))
        tables.check()
        if any(arrays[n].shape != (config.knots, CHANNELS) for n in cls._NUMBERS):
            raise ValueError("arrays of the wrong shape")
        if arrays["features"].shape != (2 * FEATURE_RANGE + 1,):
            raise ValueError("features of the wrong number")
        if len(tables.first) != SCALES:
            raise ValueError("tables of the wrong number")
        if np.abs(arrays["features"].astype(np.int64)).max() > 1023 or any(
            not bool((p == p.round()).all()) for p in graph.parameters()
        ):
            raise NotExact("features beyond the range of the layers' sums, or parameters that are not whole")
        own, mean_gain, coded_from = (arrays[n].astype(np.int64) for n in cls._NUMBERS)
        out = cls(config, graph, own, mean_gain, coded_from, tables)
        out.features_are(arrays["features"])
        return out

    # -- coding ----------------------------------------------------------------------------------
    def coded(self, quality: int | Quantisation) -> np.ndarray:
        """Which of the 39 band channels a quality (in 1/256) codes, with steps of a file's own or without."""
        at = Quantisation.of(quality)
        return interpolate(self.coded_from, at.quality) + COARSE // OCTAVE * np.array(at.shifts) > 0

    def encode(
        self,
        latent: Latent,
        quality: int | Quantisation,
        weight: np.ndarray | None = None,
        report: Report | None = None,
        masks: list[np.ndarray] | None = None,
    ) -> tuple[bytes, Latent]:
        """The stream, and the latent that it holds: zero where nothing was coded.

        quality: 0..25600. weight: 39 float32, bits that a squared error of one step in a band channel is worth. With it
        `latent.k` holds coefficients that were not rounded (float32), and each is rounded as the walk comes by
        (entropy/rounding.py). masks: h,w float32 of each level, with which the weight is multiplied.
        """
        writer = Encoder()
        held = Walker(self, writer, quality, weight, masks).walk(latent.side.shape, latent, report=report)
        return writer.bytes(), held

    def decode(
        self,
        data: bytes,
        quality: int | Quantisation,
        height: int,
        width: int,
        levels: int = 4,
        report: Report | None = None,
    ) -> Latent:
        """The latent of a picture whose padded sides are height, width (multiples of 32); CorruptStream.

        quality: 0..25600. levels: 1..4, so many of the levels are decoded, coarse to fine, and returned.
        """
        shape = self.config.side, height // 32, width // 32
        return Walker(self, Decoder(data), quality).walk(shape, None, levels, report)

    def features(self, k: Tensor) -> Tensor:
        """asinh(k) in 1/64, by table."""
        return self.feature_table[k.long().clamp_(-FEATURE_RANGE, FEATURE_RANGE) + FEATURE_RANGE]


class Walker:
    """The walk at one quality, in the one direction or the other: hands each step's tables to the coder, takes the
    values, goes on with them.
    """

    def __init__(
        self,
        model: IntegerPrior,
        coder: Coder,
        quality: int | Quantisation,
        weight: np.ndarray | None = None,
        masks: list[np.ndarray] | None = None,
    ):
        quantised = Quantisation.of(quality)
        quality = quantised.quality
        self.model, self.coder = model, coder
        self.now: _Coded  #: what the walk is at: the side latent or a level
        self.bias = [
            torch.from_numpy((interpolate(table.numpy(), q) // 256).astype(np.float32))[None, :, None, None]
            for table, q in zip(model.graph.quality, [*quantised.level_qualities, quality])
        ]
        none: list[np.ndarray | None] = [None] * 4
        weights = none if weight is None else arrays_by_level(weight)
        self.numbers = [
            _Numbers.of(*of_level)
            for of_level in zip(
                arrays_by_level(model.coded(quantised)),
                arrays_by_level(interpolate(model.own, quality) // 64 + OUT // OCTAVE * np.array(quantised.shifts)),
                arrays_by_level(np.array(quantised.scaled((interpolate(model.mean_gain, quality) // 64).tolist()))),
                weights,
                masks or none,
            )
        ]

    @torch.no_grad()
    def walk(
        self, side_shape: tuple[int, ...], given: Latent | None, wanted: int = 4, report: Report | None = None
    ) -> Latent:
        """The latent coded: of `given` (None: to be decoded) the first `wanted` levels."""
        graph = self.model.graph
        channels, h, w = side_shape
        numbers = _Numbers.of(np.ones(channels, bool), np.zeros(channels), np.full(channels, OUT))
        self.now = side = _Coded(side_shape, numbers, None if given is None else given.side)
        self._code(side_steps(graph, self.bias, side))
        shapes = [(len(n.coded), 2 * h << i, 2 * w << i) for i, n in enumerate(self.numbers[:wanted])]
        count = 1 + max((i for i in range(wanted) if self.numbers[i].coded.any()), default=0)
        k: list[np.ndarray] = []

        def known(i: int) -> _Coded:
            if i:
                k.append(self.now.values())
            share = 4**i / sum(len(PHASES) * 4**j for j in range(count))
            self.now = _Coded(
                shapes[i],
                self.numbers[i],
                None if given is None else given.k[i],
                report and functools.partial(report, share),
            )
            return self.now

        self._code(level_steps(graph, self.bias, self.model.features(side.k), known, count))
        k.append(self.now.values())
        return Latent(side.values(), k + [np.zeros(shape, np.int32) for shape in shapes[count:]])

    def _code(self, steps: Iterator[Step]) -> None:
        """Each step's means and scales to tables, its symbols through the coder, their values to what is known."""
        for step in steps:
            known = self.now
            own, gain = known.numbers.own, known.numbers.gain
            group, n = step.group, len(step.group)
            o = step.out[0].contiguous().numpy()
            scale = o[n:] + own[group][:, None, None]
            # everything else is only computed where a symbol is coded
            at = np.flatnonzero(scale >= (LOG2_SMALLEST + 1 / 4) * OUT)
            index = np.minimum(
                np.floor((scale.reshape(-1)[at] - LOG2_SMALLEST * OUT) * np.float32(4 / OUT)), SCALES - 1
            )
            of = at // o[0].size
            mean = np.floor(o[:n].reshape(-1)[at] * gain[group][of] * np.float32(2.0**-13) + np.float32(0.5))
            if step.linear is not None:
                mean += _placed(step.linear[0].numpy(), group)[at]
            values = self._symbols(
                index.astype(np.int32),
                mean.astype(np.int32),
                None if known.wanted is None else known.wanted[group, step.y :: 2, step.x :: 2].reshape(-1)[at],
                known.numbers.worth(step, at),
            )
            new, feature = np.zeros((2, *o[:n].shape), np.float32)
            new.reshape(-1)[at] = values
            feature.reshape(-1)[at] = self.model.feature_values[
                values.clip(-FEATURE_RANGE, FEATURE_RANGE) + FEATURE_RANGE
            ]
            known.put(step, new, feature)

    def _symbols(
        self, scale: np.ndarray, mean: np.ndarray, wanted: np.ndarray | None, weight: np.ndarray | None
    ) -> np.ndarray:
        """Code n symbols of given scale indices; a mean (in eighths) is an integer and one of 8 fractions. All int32,
        but weight: float32, and wanted, too, where there are weights.
        """
        model, eighths = self.model, mean + 4
        base = eighths >> 3
        ids = model.tables.first[scale] + (((eighths & 7) * model.tables.fractions[scale]) >> 3)
        if wanted is not None:
            if weight is not None:
                wanted = model.rounding(wanted, base, ids, weight)
            wanted = wanted - base
        return self.coder.code(model.models, ids, wanted) + base
