"""`python -m recmm recommend`: lists for the users that a person names, to a file or the terminal."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch

from recmm.deploy.checkpoint import read_deployed
from recmm.deploy.lists import SCHEMA, Known, known, most_popular, recommend
from recmm.deploy.reading import labels_or_file, read_labels
from recmm.deploy.scoring import Scorer, scorer_of
from recmm.deploy.writing import check_suffix, write_blocks
from recmm.errors import ConfigError, DataError
from recmm.terminal import printable

_SHOWN = 1000  # lines of a table that the terminal shows


@dataclass(frozen=True)
class Request:
    """What a person asks for; the fields are the options of the command.

    Attributes:
        users: raw ids separated by commas, or a file; None with ``everyone``.
        candidates: a file with the raw ids of the only items to recommend.
        popular: whether users whom the catalogue does not know get the most popular items.
    """

    users: str | None = None
    everyone: bool = False
    k: int = 20
    candidates: Path | None = None
    exclude_seen: bool = True
    popular: bool = False


def recommend_to(run: Path, request: Request, out: Path | None) -> None:
    """Write the lists to ``out``, or show them.

    Raises:
        CheckpointError: the run cannot recommend.
        ConfigError: no users or all of them are asked for twice, ``k`` is below 1, or ``out`` has another suffix.
        DataError: no user and no candidate is known, a file cannot be read, or ``out`` cannot be written.
    """
    if (request.users is None) != request.everyone:
        raise ConfigError("Name the users with --users FILE or --users u1,u2, or ask for all of them with --all.")
    if request.k < 1:
        raise ConfigError(f"-k is {request.k}: a list has at least 1 item.")
    if out is not None:
        check_suffix(out)
    scorer = scorer_of(read_deployed(run))
    users = _users(scorer, request)
    n_users = len(users.ids) + (len(users.unknown) if request.popular else 0)
    if out is None and n_users * request.k > _SHOWN:
        raise ConfigError(f"{n_users * request.k:,} lines are too many for the terminal: name a file with --out.")
    blocks = _blocks(scorer, request, users)
    if out is None:
        _show(blocks)
        return
    n_lines = write_blocks(blocks, SCHEMA, out)
    print(f"recommendations: {out} ({n_users:,} users, {n_lines:,} lines)")


def _users(scorer: Scorer, request: Request) -> Known:
    catalog = scorer.deployed.catalog
    if request.users is None:
        return Known(pl.Series(catalog.user_ids, dtype=pl.String), torch.arange(catalog.n_users), [])
    users = known(labels_or_file(request.users, "the users"), catalog.user_ids)
    _tell(users.told("user"), "They get the most popular items." if request.popular else "--cold popular serves them.")
    if not len(users.ids) and not request.popular:
        raise DataError(
            f"None of the users is in the catalogue of {scorer.deployed.path}: its ids look like "
            f"{', '.join(catalog.user_ids[:3])}. Give raw ids of its users, or add --cold popular."
        )
    return users


def _blocks(scorer: Scorer, request: Request, users: Known) -> Iterator[pl.DataFrame]:
    catalog, candidates = scorer.deployed.catalog, None
    if request.candidates is not None:
        items = known(read_labels(request.candidates, "the candidate items"), catalog.item_ids)
        _tell(items.told("item"), "They are left out.")
        if not len(items.ids):
            raise DataError(
                f"{request.candidates}: none of its items is in the catalogue, whose ids look like "
                f"{', '.join(catalog.item_ids[:3])}. Give raw ids of its items, one per line."
            )
        candidates = items.ids
    yield from recommend(scorer, users.ids, request.k, candidates=candidates, exclude_seen=request.exclude_seen)
    if request.popular and users.unknown:
        yield most_popular(scorer, users.unknown, request.k, candidates=candidates)


def _tell(sentence: str | None, what_follows: str) -> None:
    if sentence is not None:
        print(printable(f"{sentence} {what_follows}"), file=sys.stderr)


def _show(blocks: Iterator[pl.DataFrame]) -> None:
    table = pl.concat(list(blocks))
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, fmt_str_lengths=60):
        print(printable(str(table)))
