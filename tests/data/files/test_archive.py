"""Archives that are unsafe, damaged or lie."""

import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from recmm.data.files.archive import unpack
from recmm.errors import DownloadError
from tests.data.http_server import zipped

LINK = zipfile.ZipInfo("image.npy")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


def unpacked(tmp_path: Path, archive: bytes, limit: int = 1000) -> bytes:
    (tmp_path / "a.zip").write_bytes(archive)
    unpack(tmp_path / "a.zip", "image.npy", tmp_path / "image.npy", limit=limit)
    return (tmp_path / "image.npy").read_bytes()


def test_member_is_found_in_its_folder(tmp_path: Path) -> None:
    archive = zipped({"a/": b"", "a/image.npy": b"right", "__MACOSX/a/image.npy": b"junk", "a/other.npy": b"other"})
    assert unpacked(tmp_path, archive) == b"right"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "image.npy"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"/etc/image.npy": b""}, "outside"),
        ({"a/../../image.npy": b""}, "outside"),
        ({"..\\image.npy": b""}, "outside"),
        ({LINK: b"/etc/passwd"}, "link"),
        ({"image.npy": bytes(2000)}, "2,000 bytes, allowed are 1,000"),
        ({"other.npy": b""}, "0 files called image.npy"),
        ({"a/image.npy": b"", "b/image.npy": b""}, "2 files called image.npy"),
        ({}, "0 files called image.npy"),
    ],
)
def test_unsafe_archives_are_refused(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    with pytest.raises(DownloadError, match=words):
        unpacked(tmp_path, zipped(members))
    assert not (tmp_path / "image.npy").exists()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_without_a_bound_are_refused(tmp_path: Path, compression: int) -> None:
    with pytest.raises(DownloadError, match="rare way"):
        unpacked(tmp_path, zipped({"image.npy": b"x"}, compression))


@pytest.mark.parametrize("true_crc_of", [5000, 10])
def test_member_that_is_bigger_than_announced_is_cut_there(tmp_path: Path, true_crc_of: int) -> None:
    archive = bytearray(zipped({"image.npy": bytes(5000)}))
    central = archive.index(b"PK\x01\x02")
    for size_at, crc_at in ((22, 14), (central + 24, central + 16)):  # uncompressed size and CRC in both headers
        archive[size_at : size_at + 4] = (10).to_bytes(4, "little")
        archive[crc_at : crc_at + 4] = struct.pack("<I", zlib.crc32(bytes(true_crc_of)))
    if true_crc_of == 10:  # nobody can tell; no more than announced is written
        assert unpacked(tmp_path, bytes(archive)) == bytes(10)
    else:
        with pytest.raises(DownloadError, match="cannot be read"):
            unpacked(tmp_path, bytes(archive))
        assert (tmp_path / "image.npy").stat().st_size <= 10


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    whole = zipped({"image.npy": bytes(range(50)) * 4})
    for archive in (b"", b"no archive", whole[:-10], whole[10:], b"PK\x05\x06" + b"\xff" * 18):
        with pytest.raises(DownloadError, match=r"that should hold image\.npy cannot be read"):
            unpacked(tmp_path, archive)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        try:
            content = unpacked(tmp_path, bytes(damaged))
        except DownloadError:
            continue
        assert content == bytes(range(50)) * 4, "a flip that changes what is read is noticed by the CRC"
