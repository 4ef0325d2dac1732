"""The probability model in exact integers: what alone codes and decodes.

Integers are held in float32 tensors and every partial sum stays below 2^24 (checked from the weights' L1 norms
when a layer is made), so any order of summation, thread count or instruction set gives the same bits. A layer's
requantisation is a power of two and a floor, exact in float32 too; what a trained multiplier would do there is
folded into the weights. Activations are in units of 1/64, outputs of 1/256.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from entropy.coder import Coder, Decoder, Encoder, Models
from entropy.config import BANDS, PHASES, Config
from entropy.factorised import Factorised
from entropy.graph import LARGEST, OUT, Context, Graph
from entropy.layers import LIMIT, Layer, conv
from entropy.prior import Prior
from entropy.rounding import Rounding
from entropy.strips import cell_order, up
from entropy.tables import LOG2_SMALLEST, SCALES, Tables, logistic_tables

EXACT = 1 << 24  #: float32 holds every integer below
QUALITY_UNITS = 25600  #: a quality 0..100 in 1/256
COARSE = 1 << 16  #: unit of parameters that are interpolated between qualities
CLIP = 32767  #: coefficients and side values are clipped to this by the encoder
FEATURE_RANGE = LARGEST

Report = Callable[[float], None]  #: told what share of a latent has been coded since the last call; 1 in all


class NotExact(ValueError):
    """A layer whose partial sums could leave the range in which float32 is exact."""


class IntegerLayer(nn.Module):
    """clamp(floor((conv(x) + bias) / 2^shift) + addend), all integers; an addend of the result's size is overwritten."""

    weight: Tensor
    bias: Tensor
    shift: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        size: int = 1,
        groups: int = 1,
        signed: bool = False,
        std: float | None = None,
        limit_in: float = LIMIT,
        limit: float = LIMIT,
        scale_in: int = 64,
        scale_out: int = 64,
        up: bool = False,
    ):
        """A layer of the shape that `Layer` would have of the same arguments, its numbers to be loaded."""
        super().__init__()
        self.groups, self.up = groups, up
        self.limit_in, self.limit = round(limit_in * scale_in), round(limit * scale_out)
        self.low = -self.limit if signed else 0
        self.register_buffer("weight", torch.zeros(channels_out, channels_in // groups, size, size))
        self.register_buffer("bias", torch.zeros(channels_out))
        self.register_buffer("shift", torch.zeros(channels_out))

    @classmethod
    def of(cls, layer: Layer) -> IntegerLayer:
        """The rounded form of a trained layer."""
        conv = layer.conv
        out = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size[0],
            conv.groups,
            bool(layer.low),
            None,
            layer.limit_in,
            layer.limit,
            layer.scale_in,
            layer.scale_out,
            layer.up,
        )
        weight = conv.weight.detach().double() * layer.scale_out / layer.scale_in
        bias = conv.bias.detach().double() * layer.scale_out + 0.5  # type: ignore[union-attr]
        largest = weight.abs().sum((1, 2, 3)) * out.limit_in + bias.abs()
        shift = torch.floor(torch.log2((EXACT - 1) / largest)).clamp(0, 20)
        for _ in range(2):  # rounding the weights can take a sum over the edge: then one bit less
            scale = torch.exp2(shift)
            integer = torch.round(weight * scale[:, None, None, None])
            offset = torch.round(bias * scale)
            bound = integer.abs().sum((1, 2, 3)) * out.limit_in + offset.abs()
            shift = torch.where(bound >= EXACT, shift - 1, shift)
        out.weight, out.bias, out.shift = integer.float(), offset.float(), torch.log2(scale).float()
        out.prepare()
        return out

    def check(self) -> None:
        """Raise NotExact unless all sums stay below 2^24 (also for weights read from a file)."""
        w, b, s = self.weight.double(), self.bias.double(), self.shift
        whole = all(bool((t == t.round()).all()) for t in (w, b, s))
        bound = w.abs().sum((1, 2, 3)) * self.limit_in + b.abs()
        if not whole or not bool((bound < EXACT).all()) or not bool(((s >= 0) & (s <= 20)).all()):
            raise NotExact("integer layer: sums are not bounded by 2^24")

    def prepare(self) -> None:
        """What follows from weights and shifts, anew where those were loaded."""
        # scaling by a power of two is exact, before the sum as after it
        scale = torch.exp2(-self.shift)
        numbers = self.weight * scale[:, None, None, None], self.bias * scale
        taps, self.start = map(cell_order, numbers) if self.up else numbers
        self.taps = taps.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor, addend: Tensor | None = None, phase: tuple[int, int] | None = None) -> Tensor:
        if self.up:
            in_cells = None if addend is None else cell_order(addend, 1)
            return up(x, lambda x: self._values(x, in_cells, None))
        return self._values(x, addend, phase)

    def _values(self, x: Tensor, addend: Tensor | None, phase: tuple[int, int] | None) -> Tensor:
        y = conv(x, self.taps, self.start, self.groups, phase).floor_()
        if addend is not None:
            y = addend.add_(y) if addend.shape == y.shape else y.add_(addend)
        return y.clamp_(self.low, self.limit)


class Latent(NamedTuple):
    """What a file holds: side latent (side,h,w) and the four levels (C,h,w), all int32."""

    side: np.ndarray
    k: list[np.ndarray]


def interpolate(table: np.ndarray, quality: int) -> np.ndarray:
    """knots x C integers at a quality in 1/256, rounded down: exact."""
    position = quality * (len(table) - 1)
    index = min(position // QUALITY_UNITS, len(table) - 2)
    share = position - index * QUALITY_UNITS
    a, b = table[index].astype(np.int64), table[index + 1].astype(np.int64)
    return (a * (QUALITY_UNITS - share) + b * share) // QUALITY_UNITS


def _placed(low: np.ndarray, group: list[int]) -> np.ndarray:
    """What is said of channels 0 to 2, as flat values of a group's channels, 0 for the others."""
    out = np.zeros((len(group), *low.shape[1:]), np.float32)
    for i, channel in enumerate(group):
        if channel < 3:
            out[i] = low[channel]
    return out.reshape(-1)


def _slices(group: list[int]) -> list[tuple[slice, slice]]:
    """Channels that are consecutive or two or one of each three colours: slices of the group, and the channels that they
    are. Writing to slices takes a third of the time that writing to a list of channels does."""
    step = 1 if group[-1] - group[0] + 1 == len(group) else 3
    starts = [c for c in group if c < group[0] + min(step, 2)]
    out = [(slice(i, None, len(starts)), slice(c, group[-1] + 1, step)) for i, c in enumerate(starts)]
    assert sorted(c for _, channels in out for c in range(group[-1] + 1)[channels]) == group
    return out


def _integer_graph(graph: Graph) -> Graph:
    """The graph itself, its layers and parameters turned into integers."""

    def replace(module: nn.Module) -> None:
        for name, child in module.named_children():
            if isinstance(child, Layer):
                setattr(module, name, IntegerLayer.of(child))
            else:
                replace(child)

    replace(graph)
    for level in filter(None, (graph.side, *graph.levels)):
        level.phase = nn.Parameter(torch.round(level.phase.detach() * 64), requires_grad=False)  # type: ignore[arg-type]
    graph.quality = nn.ParameterList(
        nn.Parameter(torch.round(q.detach() * 64 * 256), requires_grad=False) for q in graph.quality
    )
    return graph.eval()


class IntegerPrior(nn.Module):
    """The exact model: `encode` and `decode` walk the same graph with the same integers.

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
        factorised: Factorised | None = None,
    ):
        super().__init__()
        for module in graph.modules():
            if isinstance(module, IntegerLayer):
                module.check()
                module.prepare()
        self.config, self.graph = config, graph
        self.own, self.mean_gain, self.coded_from = own, mean_gain, coded_from
        self.tables, self.models, self.rounding = tables, Models(tables), Rounding(tables)
        self.factorised = factorised
        values = np.round(np.arcsinh(np.arange(-FEATURE_RANGE, FEATURE_RANGE + 1, dtype=np.float64)) * 64)
        self.features_are(values)

    @classmethod
    @torch.no_grad()
    def from_prior(
        cls, prior: Prior, log2_own: np.ndarray, mean_gain: np.ndarray, log2_start: np.ndarray
    ) -> IntegerPrior:
        """From the trained model and its knots x channels: log2(deviation x gain), mean gain, log2(deviation x
        starting gain), the last less the threshold at which a band is coded."""
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
        graph = Graph(config, IntegerLayer).requires_grad_(False).eval()
        graph.load_state_dict(
            {k[6:]: torch.from_numpy(v.astype(np.float32)) for k, v in arrays.items() if k.startswith("graph.")}
        )
        tables = Tables(*(arrays[f"tables.{field}"] for field in Tables._fields))
        tables.check()
        shapes = {n: (config.knots, sum(BANDS)) for n in cls._NUMBERS} | {"features": (2 * FEATURE_RANGE + 1,)}
        if any(arrays[n].shape != shape for n, shape in shapes.items()):
            raise ValueError("arrays of the wrong shape")
        if len(tables.first) != SCALES:
            raise ValueError("tables of the wrong number")
        if np.abs(arrays["features"].astype(np.int64)).max() > 1023 or any(
            not bool((p == p.round()).all()) for p in graph.parameters()
        ):
            raise NotExact("features beyond the range of the layers' sums, or parameters that are not whole")
        factorised = (
            None
            if config.side_prior
            else Factorised(Tables(*(arrays[f"side.{field}"] for field in Tables._fields)), arrays["side_mean"])
        )
        out = cls(config, graph, *(arrays[n].astype(np.int64) for n in cls._NUMBERS), tables, factorised)
        out.features_are(arrays["features"])
        return out

    # -- coding ----------------------------------------------------------------------------------
    def coded(self, quality: int) -> np.ndarray:
        """Which of the 39 band channels a quality (in 1/256) codes."""
        return interpolate(self.coded_from, quality) > 0

    def encode(
        self, latent: Latent, quality: int, weight: np.ndarray | None = None, report: Report | None = None
    ) -> tuple[bytes, Latent]:
        """The stream, and the latent that it holds: zero where nothing was coded.

        weight: 39 float32, bits that a squared error of one step in a band channel is worth. With it `latent.k` holds
        coefficients that were not rounded (float32), and each is rounded as the walk comes by (entropy/rounding.py).
        """
        writer = Encoder()
        held = self._walk(writer, quality, latent.side.shape, latent, weight=weight, report=report)
        return writer.bytes(), held

    def decode(
        self, data: bytes, quality: int, height: int, width: int, levels: int = 4, report: Report | None = None
    ) -> Latent:
        """The latent of a picture whose padded sides are height, width (multiples of 32); CorruptStream.

        levels: 1..4, so many of the levels are decoded, coarse to fine, and returned.
        """
        return self._walk(
            Decoder(data), quality, (self.config.side, height // 32, width // 32), None, levels, report=report
        )

    def features(self, k: Tensor) -> Tensor:
        """asinh(k) in 1/64, by table."""
        return self.feature_table[k.long().clamp_(-FEATURE_RANGE, FEATURE_RANGE) + FEATURE_RANGE]

    @torch.no_grad()
    def _walk(
        self,
        coder: Coder,
        quality: int,
        side_shape: tuple[int, ...],
        given: Latent | None,
        wanted: int = 4,
        weight: np.ndarray | None = None,
        report: Report | None = None,
    ) -> Latent:
        """Both directions: hand each step's tables to the coder, take the values, go on with them."""
        graph = self.graph
        channels, h, w = side_shape
        bias = [
            torch.from_numpy((interpolate(q.numpy(), quality) // 256).astype(np.float32))[None, :, None, None]
            for q in graph.quality
        ]
        coded = np.split(self.coded(quality), np.cumsum(BANDS)[:-1])
        own = np.split(interpolate(self.own, quality) // 64, np.cumsum(BANDS)[:-1])
        gain = np.split(interpolate(self.mean_gain, quality) // 64, np.cumsum(BANDS)[:-1])
        weights = [None] * 4 if weight is None else np.split(weight, np.cumsum(BANDS)[:-1])
        last = max(i for i in range(wanted) if coded[i].any() or i == 0)
        given_side = None if given is None else given.side
        if self.factorised:
            side = self.factorised.code(coder, side_shape, given_side)
        else:
            values, known = self._blank(*side_shape)
            self._level(
                coder,
                graph.side,
                bias[4].expand(-1, -1, h, w),
                values,
                known,
                given_side,  # type: ignore[arg-type]
                np.ones(channels, bool),
                np.zeros(channels, np.int64),
                np.full(channels, OUT),
                None,
                None,
            )
            side = values[0].numpy().astype(np.int32)
        parent = graph.hyper(self.features(torch.from_numpy(side)[None]), bias[0])
        levels: list[np.ndarray] = []
        for i, level in enumerate(graph.levels[:wanted]):  # type: ignore[misc]
            shape = (BANDS[i], 2 * h << i, 2 * w << i)
            if i > last:
                levels.append(np.zeros(shape, np.int32))
                continue
            trunk = level.trunk(parent)  # type: ignore[operator]
            k, known = self._blank(*shape)
            self._level(
                coder,
                level,
                trunk,
                k,
                known,
                None if given is None else given.k[i],  # type: ignore[arg-type]
                coded[i],
                own[i],
                gain[i],
                weights[i],
                report and functools.partial(report, 4**i / sum(len(PHASES) * 4**j for j in range(last + 1))),
            )
            levels.append(k[0].numpy().astype(np.int32))
            if i < last:
                parent = graph.down(i, trunk, known[:, :, 1:-1, 1:-1], bias[i + 1])
        return Latent(side, levels)

    @staticmethod
    def _blank(channels: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Values 1,C,h,w that are not known yet, and their features, with a margin of 1."""
        known = torch.zeros(1, height + 2, width + 2, 2 * channels).permute(0, 3, 1, 2)
        return torch.zeros(1, channels, height, width), known

    def _level(
        self,
        coder: Coder,
        level: Context,
        trunk: Tensor,
        k: Tensor,
        known: Tensor,
        given: np.ndarray | None,
        coded: np.ndarray,
        own: np.ndarray,
        gain: np.ndarray,
        weight: np.ndarray | None,
        stepped: Callable[[], None] | None,
    ) -> None:
        """The 8 steps of a level (or of the side latent); fills k and its features. `stepped` is called after each two."""
        # a band that this quality drops has the lowest scale: it is skipped
        own = np.where(coded, own, -(1 << 20))
        band, inner = len(coded), known[:, :, 1:-1, 1:-1]
        for step, (y, x) in enumerate(PHASES):
            if y >= k.shape[2] or x >= k.shape[3]:
                continue
            c = level.at_phase(step, trunk, known)
            linear = level.linear(step, k[:, :3].clamp(-LARGEST, LARGEST))
            for group, out in ((level.first, level.out_first), (level.second, level.out_second)):
                if not coded[group].any():
                    continue
                if group is level.second:
                    c = level.from_first(self._here(inner, level.of_first, y, x), c)
                o = out(c)[0].contiguous().numpy()
                n = len(group)
                scale = o[n:] + own[group].astype(np.float32)[:, None, None]
                # everything else is only computed where a symbol is coded
                at = np.flatnonzero(scale >= (LOG2_SMALLEST + 1 / 4) * OUT)
                index = np.minimum(
                    np.floor((scale.reshape(-1)[at] - LOG2_SMALLEST * OUT) * np.float32(4 / OUT)), SCALES - 1
                )
                of = at // o[0].size
                mean = np.floor(
                    o[:n].reshape(-1)[at] * gain[group].astype(np.float32)[of] * np.float32(2.0**-13) + np.float32(0.5)
                )
                if linear is not None:
                    mean += _placed(linear[0].numpy(), group)[at]
                values = self._symbols(
                    coder,
                    index.astype(np.int32),
                    mean.astype(np.int32),
                    None if given is None else given[group, y::2, x::2].reshape(-1)[at],
                    None if weight is None else weight[group][of],
                )
                new, feature = np.zeros((2, *o[:n].shape), np.float32)
                new.reshape(-1)[at] = values
                feature.reshape(-1)[at] = self.feature_values[
                    values.clip(-FEATURE_RANGE, FEATURE_RANGE) + FEATURE_RANGE
                ]
                made, features = torch.from_numpy(new), torch.from_numpy(feature)
                magnitudes = features.abs()
                for part, channels in _slices(group):
                    k[0, channels, y::2, x::2] = made[part]
                    inner[0, :band][channels, y::2, x::2] = features[part]
                    inner[0, band:][channels, y::2, x::2] = magnitudes[part]
            if stepped:
                stepped()

    @staticmethod
    def _here(known: Tensor, channels: list[int], y: int, x: int) -> Tensor:
        return known[:, channels, y::2, x::2].contiguous(memory_format=torch.channels_last)

    def _symbols(
        self, coder: Coder, scale: np.ndarray, mean: np.ndarray, wanted: np.ndarray | None, weight: np.ndarray | None
    ) -> np.ndarray:
        """Code n symbols of given scales; a mean (in eighths) is an integer and one of 8 fractions. All int32, but weight:
        float32, and wanted, too, where there are weights."""
        eighths = mean + 4
        base = eighths >> 3
        ids = self.tables.first[scale] + (((eighths & 7) * self.tables.fractions[scale]) >> 3)
        if wanted is not None:
            if weight is not None:
                wanted = self.rounding(wanted, base, ids, weight)
            wanted = wanted - base
        return coder.code(self.models, ids, wanted) + base
