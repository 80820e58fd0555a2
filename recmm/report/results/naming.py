"""How metrics, columns and files are called in the report."""

import re


def metric_name(metric: str) -> str:
    """``recall@20`` -> ``Recall@20``, ``ndcg@20`` -> ``NDCG@20``."""
    return metric.upper() if metric.startswith(("ndcg", "map", "mrr")) else metric[:1].upper() + metric[1:]


def short_name(column: str) -> str:
    """``config/model.n_layers`` -> ``n_layers``, ``test/recall@20`` -> ``recall@20``."""
    return column.rpartition("/")[2].rpartition(".")[2]


def file_name(*parts: str) -> str:
    """The parts as one lower-case file name: ``rate``, ``tiktok (split 5-core)`` -> ``rate-tiktok-split-5-core``."""
    return "-".join(re.sub(r"[^\w.@-]+", "-", part.lower()).strip("-.") for part in parts)
