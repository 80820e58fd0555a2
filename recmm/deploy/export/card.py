"""The model card of an export: what was trained on what, how well it did, and how to use the files."""

import json
from pathlib import Path
from typing import Any

from recmm.deploy.checkpoint import Deployed
from recmm.report.records.folders import read_record

_METRICS = ("test/recall@10", "test/recall@20", "test/ndcg@10", "test/ndcg@20")

_CARD = """---
library_name: recmm
tags:
- recommendation
- multimodal
---

# {method} on {dataset}

Embeddings of {n_users:,} users and {n_items:,} items; the score of a pair is their inner product. Made by
[recmm](https://pypi.org/project/recmm/) {about}.

## Results

{results}

## Use

```python
import polars as pl
from safetensors.numpy import load_file

vectors = load_file("vectors.safetensors")
users, items = pl.read_parquet("users.parquet"), pl.read_parquet("items.parquet")
user = users.filter(label="{user}")["id"].item()
scores = vectors["items"] @ vectors["users"][user]
items[scores.argsort()[::-1][:20].copy()]["label"]
```

`training_pairs.parquet` holds the pairs (dense ids) that lists leave out. The vectors recommend the items of this
catalogue to the users of this catalogue, and nothing else; they carry the biases of its interactions. The labels and
the training pairs may be personal data: see what may be published before this folder is uploaded.

## Settings

```json
{settings}
```
"""


def model_card(deployed: Deployed) -> str:
    """Markdown with the metadata that Hugging Face reads; results where a record lies beside the checkpoint.

    Raises:
        RunError: that record is damaged.
    """
    record = _record(deployed)
    numbers = {name: record[name] for name in _METRICS if isinstance(record.get(name), float)}
    rows = "\n".join(f"| {name.removeprefix('test/')} | {value:.4f} |" for name, value in numbers.items())
    table = f"On the test split, over all items:\n\n| metric | value |\n|---|---|\n{rows}"
    setting = f"under missing={record['missing']}, imputer={record['imputer']}, seed {record['seed']}" if record else ""
    return _CARD.format(
        method=deployed.name,
        dataset=record.get("dataset", "an unnamed dataset"),
        n_users=deployed.catalog.n_users,
        n_items=deployed.catalog.n_items,
        about=setting or "from a checkpoint alone",
        results=table if rows else "Not recorded.",
        user=deployed.catalog.user_ids[0].replace('"', '\\"'),
        settings=json.dumps(deployed.method, indent=1),
    )


def _record(deployed: Deployed) -> dict[str, Any]:
    folder: Path = deployed.path.parent.parent
    return read_record(folder) if (folder / "result.json").is_file() else {}
