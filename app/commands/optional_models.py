"""Models that are licensed or large, so that each user fetches them: what for, and from where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OptionalModel:
    """A file that may lie in the asset folder."""

    name: str
    files: tuple[str, ...]
    """file names that are accepted, the usual one first"""
    use: str
    source: str


OPTIONAL_MODELS = (
    OptionalModel(
        "FLAME head",
        ("generic_model.pkl", "FLAME2020.pkl", "flame2023.pkl"),
        "avatars that were trained on FLAME",
        "register at flame.is.tue.mpg.de and download FLAME 2020",
    ),
    OptionalModel(
        "FLAME landmarks",
        ("landmark_embedding.npy",),
        "landmarks on a FLAME head",
        "comes with the DECA and IMavatar programs",
    ),
    OptionalModel(
        "VGG-19 weights",
        ("vgg19-dcbb9e9d.pth", "vgg19.safetensors"),
        "the feature loss of training; training works without it",
        "the vgg19 weights (IMAGENET1K_V1) of torchvision",
    ),
    OptionalModel(
        "AlexNet weights",
        ("alexnet-owt-7be5be79.pth", "alexnet.safetensors"),
        "LPIPS in the evaluation of a training, with the next; it works without",
        "the alexnet weights (IMAGENET1K_V1) of torchvision",
    ),
    OptionalModel(
        "LPIPS weights",
        ("lpips_alex.pth", "lpips_alex.safetensors"),
        "LPIPS in the evaluation of a training; it works without",
        "weights/v0.1/alex.pth of the PerceptualSimilarity program, under this name",
    ),
    OptionalModel(
        "face network",
        (
            "face_recognition_sface_2021dec.onnx",
            "sface.onnx",
            "w600k_r50.onnx",
            "arcface.onnx",
        ),
        "identity in `python -m trainer evaluate`; it works without",
        "models/face_recognition_sface of the OpenCV Zoo, or an ArcFace in ONNX under such a name",
    ),
    OptionalModel(
        "Inception",
        ("inception_fid.onnx", "pt_inception-2015-12-05.onnx"),
        "FID in `python -m trainer evaluate`; it works without",
        "the features of pytorch-fid's network, exported to ONNX: (1, 3, 299, 299) to (1, 2048)",
    ),
    OptionalModel(
        "hair matte",
        ("hair_segmentation.tflite",),
        "hair in videos of yourself; without it hair is told by matte and colour",
        "mediapipe/models of MediaPipe's repository",
    ),
    OptionalModel(
        "portrait matte",
        ("modnet.onnx", "modnet_photographic_portrait_matting.onnx"),
        "finer edges of the person in videos; without it MediaPipe's matte is refined",
        "the MODNet program's ONNX export",
    ),
    OptionalModel(
        "Segment Anything, encoder",
        ("sam_encoder.onnx",),
        "the person in videos where there is no portrait matte, with the next",
        "Segment Anything's or MobileSAM's image encoder for (1, 3, 1024, 1024), exported to ONNX",
    ),
    OptionalModel(
        "Segment Anything, decoder",
        ("sam_decoder.onnx",),
        "the person in videos, with the one before",
        "scripts/export_onnx_model.py of the Segment Anything program",
    ),
    OptionalModel(
        "face parsing",
        ("bisenet.onnx", "face_parsing.onnx", "79999_iter.onnx"),
        "parts of the face in videos; without it landmarks and colours tell them",
        "BiSeNet of the face-parsing.PyTorch program, exported to ONNX",
    ),
    OptionalModel(
        "inpainter",
        ("inpainter.onnx", "lama.onnx", "lama_fp32.onnx", "inpainting_lama_2025jan.onnx"),
        "what is behind a thing that is taken away; without it OpenCV fills it in smoothly",
        "LaMa exported to ONNX for 512 x 512, as in OpenCV's model zoo",
    ),
)
