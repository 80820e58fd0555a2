"""Where raw content comes from, and how it is joined to the items."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recmm.errors import ColumnError, ConfigError, DataError, IdError, MissingFileError
from recmm.ingest.encode.content import Content, raw_content

ITEMS = [f"i{dense}" for dense in range(40)]


def content(folder: Path, modality: str = "textual", items: list[str] = ITEMS, **options: object) -> Content:
    given = {"table": None, "id_column": None, "column": None, "files": None} | options
    return raw_content(items, folder, modality, **given)  # type: ignore[arg-type]


def test_the_folders_own_raw_content_is_taken(folder: Path, write_raw: Callable[..., None]) -> None:
    write_raw(text={0: "a", 39: "z"}, image={1: "a.png"})
    assert content(folder).entries == ["a", *[None] * 38, "z"]
    assert content(folder, "visual").entries[:3] == [None, str(folder / "a.png"), None]
    assert content(folder, "visual", files=folder.parent).entries[1] == str(folder.parent / "a.png")


def test_a_table_is_joined_by_label_whatever_its_order(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('asin,title\nzz,stranger\ni2,"two, too"\ni0,null\ni1,\n', encoding="utf-8")
    found = content(folder, table=table, column="title", items=["i0", "i1", "i2", "i3"])
    assert found.entries == ["null", None, "two, too", None]
    assert found.unknown == 1
    tabs = tmp_path / "t.tsv"
    tabs.write_text("item\ttext\ni1\t27 inch\n", encoding="utf-8")
    assert content(folder, table=tabs).entries[:2] == [None, "27 inch"]


def test_files_named_by_item_need_no_table(folder: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "i3").mkdir(parents=True)
    for name in ("i1.jpg", "i2.v2.jpg", "stranger.png", ".i4.png"):
        (photos / name).touch()
    found = content(folder, "visual", files=photos)
    assert [entry for entry in found.entries if entry] == [str(photos / "i1.jpg")]
    assert found.unknown == 2
    (photos / "i1.png").touch()
    with pytest.raises(DataError, match=r"i1\.jpg and .*i1\.png are both named after item i1"):
        content(folder, "visual", files=photos)


def test_what_is_wrong_is_said(folder: Path, tmp_path: Path, write_raw: Callable[..., None]) -> None:
    with pytest.raises(ConfigError, match=r"holds no raw\.parquet.*--table FILE --id-column NAME --column NAME\.$"):
        content(folder)
    with pytest.raises(ConfigError, match=r"or --files FOLDER"):
        content(folder, "visual")
    with pytest.raises(ConfigError, match="--files applies to images and sounds"):
        content(folder, files=tmp_path)
    with pytest.raises(ConfigError, match="is not a folder"):
        content(folder, "visual", files=tmp_path / "absent")
    with pytest.raises(MissingFileError, match=r"absent\.csv"):
        content(folder, table=tmp_path / "absent.csv")
    table = tmp_path / "t.csv"
    for text, options, message in (
        ("asin,title\n", {}, r"has the columns asin, title; there is no 'text' \(--column\)"),
        ("asin,text\n", {"id_column": "id"}, r"there is no 'id' \(--id-column\)"),
        ("name,text\n", {}, r"Name the column of the item with --id-column"),
    ):
        table.write_text(text, encoding="utf-8")
        with pytest.raises(ColumnError, match=message):
            content(folder, table=table, **options)
    table.write_text("item,text\ni1,a\ni2,b\ni1,c\n", encoding="utf-8")
    with pytest.raises(IdError, match=r"1 rows name an item for a second time, the first is 'i1' in line 4"):
        content(folder, table=table)
    table.write_text("item,text\nX1,a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"names none of the 40 items.*'X1'.*'i0'"):
        content(folder, table=table)
