"""Tones that are made here."""

import wave
from pathlib import Path

import numpy as np
import pytest

from recmm.errors import DownloadError
from recmm.ingest.encode.base import Encoder, Unusable
from recmm.ingest.encode.sound import MELS, load, read_sound

soundfile = pytest.importorskip("soundfile", reason="the extra [encode-offline] is not installed")


def tone(path: Path, frequency: float, *, rate: int = 16_000, seconds: float = 0.5, channels: int = 1) -> Path:
    """A sine as a 16-bit WAV file; in stereo the second channel is silent."""
    times = np.arange(int(rate * seconds)) / rate
    samples = np.zeros((len(times), channels), "<i2")
    samples[:, 0] = 16_384 * np.sin(2 * np.pi * frequency * times)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    pytest.importorskip("transformers", reason="the extra [encode-offline] is not installed")
    return load("logmel-stats", "cpu")


def vector(encoder: Encoder, path: Path) -> np.ndarray:
    (row,) = encoder.encode([encoder.read(str(path))])
    assert row.shape == (encoder.dim,) == (2 * MELS,)
    return row


def test_the_loudest_band_is_the_tones_own(encoder: Encoder, tmp_path: Path) -> None:
    """Band centres lie equally spaced on the mel scale, 2595 log10(1 + f / 700), from 0 to 8 kHz."""
    for frequency in (440, 1000, 3000):
        row = vector(encoder, tone(tmp_path / "t.wav", frequency))
        step = 2595 * np.log10(1 + 8000 / 700) / (MELS + 1)
        expected = 2595 * np.log10(1 + frequency / 700) / step - 1  # the first centre is one step above 0
        assert abs(int(row[:MELS].argmax()) - expected) <= 1


def test_a_tone_is_the_same_at_any_rate_and_unlike_another(encoder: Encoder, tmp_path: Path) -> None:
    low = vector(encoder, tone(tmp_path / "low.wav", 440))
    resampled = vector(encoder, tone(tmp_path / "again.wav", 440, rate=44_100, seconds=0.7))
    high = vector(encoder, tone(tmp_path / "high.wav", 4000))
    loudest = low[:MELS] > low[:MELS].max() - 2
    assert np.abs(low - resampled)[:MELS][loudest].max() < 0.1
    assert np.abs(low - high)[:MELS][loudest].max() > 2


def test_a_steady_tone_has_no_deviation_and_a_late_one_has(encoder: Encoder, tmp_path: Path) -> None:
    steady = vector(encoder, tone(tmp_path / "steady.wav", 1000))
    samples = read_sound(str(tmp_path / "steady.wav")).numpy()
    soundfile.write(tmp_path / "late.flac", np.concatenate([np.zeros_like(samples), samples]), 16_000)
    late = vector(encoder, tmp_path / "late.flac")
    band = int(steady[:MELS].argmax())
    assert steady[MELS + band] < 0.1
    assert late[MELS + band] > 1


def test_channels_are_averaged_and_one_minute_is_read(tmp_path: Path) -> None:
    mono, stereo = (read_sound(str(tone(tmp_path / f"{n}.wav", 440, channels=n))).numpy() for n in (1, 2))
    np.testing.assert_allclose(stereo, mono / 2, atol=1e-4)
    long = tone(tmp_path / "long.wav", 100, rate=1000, seconds=61)
    assert len(read_sound(str(long))) == 60 * 16_000


def test_what_cannot_be_read_has_a_reason(tmp_path: Path) -> None:
    whole = tone(tmp_path / "whole.wav", 440).read_bytes()
    (tmp_path / "head.wav").write_bytes(whole[:20])
    (tmp_path / "text.wav").write_text("not found", encoding="utf-8")
    (tmp_path / "empty.wav").touch()
    tone(tmp_path / "click.wav", 440, seconds=0.01)
    soundfile.write(tmp_path / "nan.wav", np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    tone(tmp_path / "rate.wav", 440, rate=999_999_937, seconds=1e-6)
    for name, reason in (
        ("rate.wav", "the sampling rate of 999,999,937 Hz"),
        ("head.wav", "not a readable sound file"),
        ("text.wav", "not a readable sound file"),
        ("empty.wav", "not a readable sound file"),
        ("absent.wav", "there is no such file"),
        ("click.wav", "shorter than 25 ms"),
        ("nan.wav", "not finite"),
    ):
        with pytest.raises(Unusable, match=reason):
            read_sound(str(tmp_path / name))


def test_torchaudios_weights_that_are_not_here_fail_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError) as error:  # not installed, or built for another torch
        pytest.skip(f"no torchaudio that loads: {error}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", _no_network)
    with pytest.raises(DownloadError, match=r"torchaudio's WAV2VEC2_BASE .*no network.*logmel-stats"):
        load("wav2vec2-base", "cpu")


def _no_network(*arguments: object, **options: object) -> None:
    raise OSError("no network")
