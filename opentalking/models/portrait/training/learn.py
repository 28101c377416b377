"""The training itself: on one thread and with one seed it gives the same weights every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from opentalking.models.portrait.net import VisemeNet
from opentalking.models.portrait.training.batches import Pieces, Strength
from opentalking.models.portrait.training.evaluate import WINDOW
from opentalking.models.portrait.training.labelled import Clip
from opentalking.models.portrait.training.module import LOOKAHEAD, CausalNet, fold
from opentalking.models.portrait.visemes import MOUTHS


@dataclass(frozen=True)
class Recipe:
    """What is not in the data. `mouth_weight` is that of the error of the mouth itself beside that of the viseme."""

    seed: int = 7
    iterations: int = 4000
    batch: int = 16
    piece_frames: int = 200
    rate: float = 3e-3
    warmup: float = 0.05  # share of the iterations over which the rate rises; then it falls as a cosine
    decay: float = 1e-2
    smoothing: float = 0.05
    mouth_weight: float = 30.0
    strength: Strength = field(default_factory=Strength)


def train(
    clips: Sequence[Clip], recipe: Recipe, report: Callable[[int, float], None] = lambda iteration, loss: None
) -> VisemeNet:
    """Learn from the clips. `report` is told the loss of each iteration."""
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    pieces = Pieces(clips, recipe.piece_frames, recipe.seed, recipe.strength)
    module = CausalNet()
    optimiser = torch.optim.AdamW(module.parameters(), recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: _rate(done / recipe.iterations, recipe))
    for iteration in range(recipe.iterations):
        mel, visemes = pieces.draw(recipe.batch, LOOKAHEAD)
        scores = module(torch.from_numpy(mel))[:, :, LOOKAHEAD:]
        loss = _loss(scores, torch.from_numpy(visemes.astype(np.int64)), recipe)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(module.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        report(iteration, loss.item())
    return fold(module.eval(), pieces.mean, pieces.deviation)


def _rate(progress: float, recipe: Recipe) -> float:
    return min(1.0, (progress + 1e-3) / recipe.warmup) * (0.01 + 0.99 * 0.5 * (1 + float(np.cos(np.pi * progress))))


def _loss(scores: Tensor, visemes: Tensor, recipe: Recipe) -> Tensor:
    """Error of the viseme of each frame, and of the mouth that track.py would make of them all."""
    frames = functional.cross_entropy(scores, visemes, label_smoothing=recipe.smoothing)
    heard, said = scores.softmax(1), functional.one_hot(visemes, scores.shape[1]).transpose(1, 2).float()
    return frames + recipe.mouth_weight * functional.mse_loss(_mouths(heard), _mouths(said))


def _mouths(visemes: Tensor) -> Tensor:
    """(batch, 15, frames) of probabilities to (batch, 12, frames) of mouth parameters, smoothed over time."""
    table, window = torch.from_numpy(MOUTHS.T.copy()), torch.from_numpy(WINDOW.astype(np.float32))
    mouths = table @ visemes
    smooth = functional.conv1d(mouths.reshape(-1, 1, mouths.shape[-1]), window[None, None])
    return smooth.reshape(*mouths.shape[:2], -1)
