"""Sound encoders: statistics of the log-mel spectrogram, and torchaudio's speech models."""

import socket
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from recmm.ingest.encode.base import Encoder, Unusable
from recmm.ingest.encode.dependencies import TIMEOUT, library, no_weights

OFFLINE = "logmel-stats"
BUNDLES = {"wav2vec2-base": "WAV2VEC2_BASE", "hubert-base": "HUBERT_BASE"}
RATE = 16_000  # Hz, the input of all encoders
RATES = range(1000, 192_001)  # Hz, of files; resampling from an unusual rate needs memory in proportion to it
SECONDS = 60  # read from the beginning of each file
WINDOW, HOP = 400, 160  # samples: 25 and 10 ms, the usual values for speech, also in torchaudio's models
MELS = 64
FLOOR = 1e-10  # minimum power of a band, so that the logarithm of silence is finite


class SoundEncoder:
    """A network or function that maps a waveform to a vector, one at a time because their lengths differ.

    Args:
        forward: float32 [T] at 16 kHz -> [D].
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], dim: int, device: str) -> None:
        self.forward, self.dim, self.device = forward, dim, device

    def read(self, entry: str) -> Tensor:
        """Read a file; raises Unusable if it is absent, not a sound file, too short, or holds NaN."""
        return read_sound(entry)

    def encode(self, inputs: Sequence[Tensor]) -> np.ndarray:
        """float32 [n, D]"""
        with torch.inference_mode():
            return torch.stack([self.forward(wave.to(self.device)).float().cpu() for wave in inputs]).numpy()


def read_sound(path: str) -> Tensor:
    """The first minute of a file (WAV, FLAC, OGG, MP3), averaged over channels, at 16 kHz: float32 [T] within ±1.

    Raises:
        Unusable: the file is absent, unreadable, shorter than one window, has a sampling rate outside ``RATES``, or
            holds values that are not finite.
    """
    import soundfile
    from scipy.signal import resample_poly

    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            if rate not in RATES:
                raise Unusable(f"the sampling rate of {rate:,} Hz is not within 1 to 192 kHz")
            samples = file.read(SECONDS * rate, dtype="float32", always_2d=True)
    except FileNotFoundError as error:
        raise Unusable("there is no such file") from error
    except (soundfile.SoundFileError, OSError, ValueError, MemoryError) as error:
        absent = isinstance(error, soundfile.LibsndfileError) and error.error_string == "System error."
        raise Unusable("there is no such file" if absent else f"not a readable sound file ({error})") from error
    wave = samples.mean(axis=1)
    if not np.isfinite(wave).all():
        raise Unusable("it holds values that are not finite")
    if rate != RATE:
        divisor = np.gcd(rate, RATE)
        wave = resample_poly(wave, RATE // divisor, rate // divisor).astype(np.float32)
    if len(wave) < WINDOW:
        raise Unusable(f"shorter than {1000 * WINDOW // RATE} ms")
    return torch.from_numpy(wave)


def load(name: str, device: str) -> Encoder:
    """Load the sound encoder called ``name``.

    Raises:
        ConfigError: a library is not installed.
        DownloadError: its weights are not in torch's cache and cannot be downloaded.
    """
    return _logmel(name, device) if name == OFFLINE else _bundle(name, device)


def _logmel(name: str, device: str) -> Encoder:
    """Mean and standard deviation over time of 64 log-mel bands from 0 to 8 kHz."""
    library("soundfile", name, "encode-offline")
    audio_utils = library("transformers.audio_utils", name, "encode-offline")
    bank = audio_utils.mel_filter_bank(WINDOW // 2 + 1, MELS, 0.0, RATE / 2, RATE)
    filters = torch.as_tensor(bank, dtype=torch.float32, device=device)  # [frequencies, mels]
    window = torch.hann_window(WINDOW, device=device)

    def statistics(wave: Tensor) -> Tensor:
        spectrum = torch.stft(wave, WINDOW, HOP, window=window, center=False, return_complex=True).abs().square()
        bands = (spectrum.T @ filters).clamp_min(FLOOR).log10()  # [frames, mels]
        return torch.cat([bands.mean(0), bands.std(0, correction=0)])

    return SoundEncoder(statistics, 2 * MELS, device)


def _bundle(name: str, device: str) -> Encoder:
    """A model of ``torchaudio.pipelines``; its last layer, averaged over time."""
    library("soundfile", name, "encode-audio")
    bundle = getattr(library("torchaudio", name, "encode-audio").pipelines, BUNDLES[name])
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # torchaudio sets none
    try:
        model = bundle.get_model(dl_kwargs={"progress": False}).eval().to(device)
    except OSError as error:  # URLError and timeouts are OSErrors
        reason = str(getattr(error, "reason", None) or error)
        raise no_weights(f"torchaudio's {BUNDLES[name]}", "torchaudio", OFFLINE, reason) from error
    finally:
        socket.setdefaulttimeout(before)

    def last_layer(wave: Tensor) -> Tensor:
        layers, _ = model.extract_features(wave[None])
        return layers[-1][0].mean(0)

    with torch.inference_mode():
        dim = len(last_layer(torch.zeros(RATE, device=device)))
    return SoundEncoder(last_layer, dim, device)
