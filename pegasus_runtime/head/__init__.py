"""Heads in FLAME's format: safe loading, skinning, landmarks."""

from pegasus_runtime.head.comparison import require_same_head
from pegasus_runtime.head.head_file import load_free_head, read_head_file, write_head
from pegasus_runtime.head.landmark_embedding import LandmarkEmbedding
from pegasus_runtime.head.landmarks import face_landmarks
from pegasus_runtime.head.loading import load_head, load_landmarks
from pegasus_runtime.head.model import HEAD_SCALE, Head
from pegasus_runtime.head.skinning import PosedHead, pose_head

__all__ = [
    "HEAD_SCALE",
    "Head",
    "LandmarkEmbedding",
    "PosedHead",
    "face_landmarks",
    "load_free_head",
    "load_head",
    "load_landmarks",
    "pose_head",
    "read_head_file",
    "require_same_head",
    "write_head",
]
