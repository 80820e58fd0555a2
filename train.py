"""Train one recommender, select it on validation, test it once, leave a record; or a sweep of such runs with -m.

    python train.py model=i3mrec dataset=tiktok_va missing=mtmt
    python train.py -m model=i3mrec,lightgcn missing=rate missing.rate=0.1,0.5,0.9 seed=0,1,2

Every argument is `group=choice` (a YAML file of conf/group/) or `key=value`. They are composed and checked, and each
job is handed to `recmm.experiment.run.train(cfg)`, which returns the validation metric. `python train.py --help` lists
all groups and keys. The same as `python -m recmm train ...`.
"""

from recmm.experiment.launch import main

if __name__ == "__main__":
    main()
