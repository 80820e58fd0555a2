"""Where the public files are, with digests. An absent file is downloaded, or the error says how to get it by hand.

A file that is already in the folder is used as it is; the published statistics are checked after reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from recmm.data.files.fetch import RemoteFile, fetch
from recmm.errors import DigestError, DownloadError, MissingFileError


@dataclass(frozen=True)
class Origin:
    """Where the files of a dataset come from, for the download and for the person who fetches them by hand.

    Attributes:
        dataset: the dataset's name in messages.
        page: where a person finds the files.
        base: raw-file base URL; empty where no file-wise public source is known.
        files: local file name, relative to the dataset's folder -> pinned file.
        without: local file name -> the dataset choice that runs when only this file is absent.
    """

    dataset: str
    page: str
    base: str = ""
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)


_COMMIT = "fae20e642aeeaad4284be6f7fb3432ebb551da8e"
_RAW = f"https://raw.githubusercontent.com/HKUDS/DiffMM/{_COMMIT}"
_TREE = f"https://github.com/HKUDS/DiffMM/tree/{_COMMIT}"
_AMAZON_PAGES = (
    "the MMRec team's shared folder (linked from https://github.com/enoche/MMRec), or, made anew, the McAuley lab's "
    "Amazon 2014 5-core files (https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html), which "
    "`python -m recmm data import --from amazon` reads"
)

TIKTOK = Origin(
    dataset="TikTok",
    page=f"{_TREE}/Datasets/tiktok",
    base=_RAW,
    files={
        "trnMat.pkl": RemoteFile("Datasets/tiktok/trnMat.pkl", "e2592cf4a18e9ddcd6a0814679d4faf34d08a373", 953073),
        "valMat.pkl": RemoteFile("Datasets/tiktok/valMat.pkl", "88e3722afb991c295d7987866e2284877a46ddde", 49233),
        "tstMat.pkl": RemoteFile("Datasets/tiktok/tstMat.pkl", "1daea6b69c98210371168e1965aaa1d135e0d0ea", 98497),
        "image_feat.npy": RemoteFile(
            "Datasets/tiktok/image_feat.npy", "27ac000dc2feaefdfa06d238d588793dd8ea80ba", 1717888
        ),
        "audio_feat.npy": RemoteFile(
            "Datasets/tiktok/audio_feat.npy", "1d0671948dfc54756f5f20a0dbc3026e40f74452", 1717888
        ),
        "text_feat.npy": RemoteFile("Datasets/tiktok/text_feat.npy", "f056985c131d90c19c5265af033b095f525e5ce2"),
    },
    without={"text_feat.npy": "dataset=tiktok_va"},
)
BABY_LATTICE = Origin(
    dataset="Amazon Baby in LATTICE's ids",
    page=f"{_TREE}/Datasets/baby",
    base=_RAW,
    files={
        "lattice/trnMat.pkl": RemoteFile(
            "Datasets/baby/trnMat.pkl", "a85d1b509e17b06f707c0c5aa188b27c35896b0f", 1897239
        ),
        "lattice/valMat.pkl": RemoteFile(
            "Datasets/baby/valMat.pkl", "27506c1d026183daecfbc99988ab012da578af9e", 347329
        ),
        "lattice/tstMat.pkl": RemoteFile(
            "Datasets/baby/tstMat.pkl", "0a99cff43d2564d6d381eccc406314e8c539cfe6", 329361
        ),
        "lattice/image_feat.npy": RemoteFile(
            "Datasets/baby/image_feat.npy.zip", "be2d0255ae3f9347f63ab72b2f9e7531c0530532", zipped=True
        ),
        "lattice/text_feat.npy": RemoteFile("Datasets/baby/text_feat.npy", "1fb92223ae114c3cc7df7c8d52c5ae8d76064296"),
    },
)
BABY = Origin("Amazon Baby in MMRec's ids", _AMAZON_PAGES)
SPORTS = Origin("Amazon Sports in MMRec's ids", _AMAZON_PAGES)
SPORTS_LATTICE = Origin(
    "Amazon Sports in LATTICE's ids", "the LATTICE authors' release (linked from https://github.com/CRIPAC-DIG/LATTICE)"
)
CLOTHING = Origin(
    "Amazon Clothing in LATTICE's ids",
    "the LATTICE authors' release (linked from https://github.com/CRIPAC-DIG/LATTICE)",
)
ALLRECIPES = Origin(
    "Allrecipes",
    "the prepared files linked from https://github.com/HKUDS/MMSSL (the raw recipes are the HAFR authors' release)",
)
ORIGINS: Mapping[str, Mapping[str, Origin]] = {
    "tiktok": {"tiktok": TIKTOK},
    "baby": {"baby_lattice": BABY_LATTICE, "baby": BABY},
    "sports": {"sports": SPORTS, "sports_lattice": SPORTS_LATTICE},
    "clothing": {"clothing": CLOTHING},
    "allrecipes": {"allrecipes": ALLRECIPES},
}
"""Dataset -> its choices in ``conf/dataset``, one for each split that circulates -> where their files come from."""

ANY = Origin("This dataset", "the release or the preprocessing that its other files come from")


def obtain(
    origin: Origin,
    folder: Path,
    names: Sequence[str],
    *,
    download: bool = True,
    base_url: str | None = None,
    instead: Sequence[str] = (),
) -> None:
    """Make sure that every file is in the folder; absent ones with a pinned source are downloaded.

    Args:
        names: file names relative to ``folder``.
        base_url: replaces the origin's raw-file base (a mirror).
        instead: further choices that run without the absent files, in words: "`dataset.modalities=[visual]`".
    Raises:
        MissingFileError: a file is absent and has no pinned source, or ``download`` is false.
        DownloadError: the source could not be reached or did not deliver.
        DigestError: what it delivered is not the pinned file.
        Each message also says what is missing, where to get it by hand, and which choice runs without it.
    """
    absent = [name for name in names if not (folder / name).is_file()]
    if not absent:
        return
    advice = _by_hand(origin, folder, absent, instead)
    unknown = [name for name in absent if name not in origin.files]
    if unknown or not download:
        reason = (
            f"no pinned public source is known for {', '.join(unknown)}" if unknown else "downloading is switched off"
        )
        raise MissingFileError(f"{_lacks(origin, folder, absent)} ({reason}). {advice}")
    for name in absent:
        try:
            fetch(origin.files[name], folder / name, base_url=base_url or origin.base)
        except (DownloadError, DigestError) as error:
            still = [name for name in absent if not (folder / name).is_file()]
            advice = _by_hand(origin, folder, still, instead)
            raise type(error)(f"{_lacks(origin, folder, still)}: {error} {advice}") from error


def _lacks(origin: Origin, folder: Path, absent: Sequence[str]) -> str:
    return f"{origin.dataset} lacks {', '.join(absent)} in {folder}"


def _by_hand(origin: Origin, folder: Path, absent: Sequence[str], instead: Sequence[str]) -> str:
    wanted = []
    for name in absent:
        remote = origin.files.get(name)
        there = PurePosixPath(remote.path if remote else name).name
        wanted.append(
            there + (" (unpack it)" if remote and remote.zipped else "") + ("" if there == name else f" as {name}")
        )
    runs = [f"`{origin.without[absent[0]]}`"] if len(absent) == 1 and absent[0] in origin.without else []
    runs += [*instead, "`dataset=synthetic`"]
    return (
        f"To get it by hand: from {origin.page} take {', '.join(wanted)} and put it into {folder}. "
        f"Without it {' or '.join(runs)} runs."
    )
