"""No command of recmm reaches for the network unless its user asks for it."""

import os

_NO_REPORTS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray, the launcher of a cluster
    "HF_HUB_DISABLE_TELEMETRY": "1",  # sentence-transformers, an encoder
}


def wandb_mode() -> str:
    """WANDB_MODE if set; else `online` with a WANDB_API_KEY, and `offline` without: no run waits for a network."""
    return os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")


def stay_offline() -> None:
    """Tell the libraries of this process and of its children to report nothing, and W&B to stay offline.

    W&B reads its mode from the environment when it is first used, before a run has one: a mode that is given to
    ``wandb.init`` alone comes after W&B's first message about itself. Values that the user has set stay.
    """
    for name, value in _NO_REPORTS.items():
        os.environ.setdefault(name, value)
    if wandb_mode() == "offline":
        os.environ["WANDB_MODE"] = "offline"
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
