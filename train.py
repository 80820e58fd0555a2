"""Train one recommender, select it on validation, test it once and write a record; with -m, a sweep of such runs.

    python train.py model=i3mrec dataset=tiktok_va missing=mtmt
    python train.py -m model=i3mrec,lightgcn missing=rate missing.rate=0.1,0.5,0.9 seed=0,1,2

Every argument is `group=choice` (a YAML file of conf/group/) or `key=value`. Hydra composes them; every job is checked
before the first one starts, and runs in `recmm.experiment.run.train(cfg)`. `python train.py --help` lists all groups
and keys. `python -m recmm train ...` does the same.
"""

from recmm.experiment.launch import main

if __name__ == "__main__":
    main()
