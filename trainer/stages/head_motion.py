"""How the head moves, put into an untrained deformer: skinning, expression and pose directions.

The directions are a hundred times smaller than a network's usual weights and steps. Learned in
place they drown in what the deformer began with: the mouth stays shut and the eyes do not turn.
So they are learned at a scale of their own, each counted by how far it carries points in the
frames, and written into the deformer at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pegasus_runtime.avatar.deformer import Deformer
from pegasus_runtime.deform.canonical_head import CanonicalHead
from pegasus_runtime.deform.surface import prepare_pose
from pegasus_runtime.head import Head
from trainer.data.dataset import Capture

_NUM_FRAMES = 200
"""that the size of expressions and poses is measured on"""
_MIN_EXPRESSION, _MIN_POSE = 0.1, 0.02
"""What no frame shows must still follow a slider."""
_SKINNING_WEIGHT = 2.0
_RIDGE = 1e-7
"""keeps the last solution finite where two hidden units say the same"""


class HeadMotion(nn.Module):
    """The part of a deformer's blend map that moves the face, in training at its own scale."""

    def __init__(self, head: Head, canonical: CanonicalHead, capture: Capture, width: int) -> None:
        """Nothing moves yet.

        Args:
            head: says where its vertices go.
            canonical: what the coefficients are counted from.
            capture: says how large the coefficients become.
            width: of the deformer's last hidden layer.
        """
        super().__init__()
        # In the order of the blend map's rows: feature-major poses, axis-major expressions.
        poses = head.pose_directions.transpose(1, 2).flatten(1)
        rows = torch.cat([poses, head.expression_directions.flatten(1)], dim=1)
        self.targets = rows
        """(V, 258)"""
        self.skinning = nn.functional.pad(head.skinning_weights, (1, 0))
        """(V, 6), nothing on the ghost bone"""
        self.size = rows.square().mean(dim=0).sqrt().clamp_min(1e-4)
        """(258,) of each row over the head"""
        self.reach = usual_coefficients(head, canonical, capture)
        """(258,) how large the number that a row is multiplied with usually is"""
        self.unit = (rows * self.reach).square().sum(dim=1).mean().clamp_min(1e-12)
        self.linear = nn.Linear(width, rows.shape[1])
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def loss(self, hidden: Tensor, skinning: Tensor, vertices: Tensor) -> Tensor:
        """Squared error of the motion over its mean square, and of skinning in nats.

        Args:
            hidden: (M, D) of the deformer.
            skinning: (M, 6) of the deformer.
            vertices: (M,) on which the points ride.
        """
        error = (self.linear(hidden) * self.size - self.targets[vertices]) * self.reach
        logs = (skinning + 1e-12).log()
        surprise: Tensor = -(self.skinning[vertices] * logs).sum(dim=1).mean()
        moved: Tensor = error.square().sum(dim=1).mean() / self.unit
        return moved + _SKINNING_WEIGHT * surprise

    @torch.no_grad()
    def write(self, deformer: Deformer, hidden: Tensor, vertices: Tensor) -> None:
        """Give a deformer the directions that fit best, by least squares over points.

        Args:
            deformer: is changed; its hidden layers were trained by `loss`.
            hidden: (M, D) of it at many points.
            vertices: (M,) on which those ride.
        """
        ones = torch.ones(len(hidden), 1)
        inputs = torch.cat([hidden, ones], dim=1).double()
        square = inputs.T @ inputs / len(inputs)
        product = inputs.T @ self.targets[vertices].double() / len(inputs)
        rows = torch.linalg.solve(square + _RIDGE * torch.eye(len(square)), product).T.float()
        deformer.blendshapes.weight[: len(rows)] = rows[:, :-1]
        deformer.blendshapes.bias[: len(rows)] = rows[:, -1]


def usual_coefficients(head: Head, canonical: CanonicalHead, capture: Capture) -> Tensor:
    """(258,) root mean square of what each row of the blend map is multiplied with."""
    frames = [frame for frames in capture.training.values() for frame in frames]
    chosen = frames[:: max(1, len(frames) // _NUM_FRAMES)]
    posed = [
        prepare_pose(
            head,
            canonical,
            torch.from_numpy(frame.record.expression),
            torch.from_numpy(frame.record.pose),
            capture.shape,
        )
        for frame in chosen
    ]
    expression = torch.stack([each.expression_change for each in posed])
    pose = torch.stack([each.feature_change for each in posed])
    return torch.cat(
        [
            pose.square().mean(dim=0).sqrt().clamp_min(_MIN_POSE).repeat_interleave(3),
            expression.square().mean(dim=0).sqrt().clamp_min(_MIN_EXPRESSION).repeat(3),
        ]
    )
