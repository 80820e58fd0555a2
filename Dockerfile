# A CPU image: docker build -t recmm . && docker run --rm -v "$PWD/multirun_outputs:/recmm/multirun_outputs" recmm experiment=demo
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home recmm && mkdir /recmm && chown recmm /recmm
USER recmm
WORKDIR /recmm
ARG TORCH_INDEX=
COPY --chown=recmm Makefile pyproject.toml README.md LICENSE ./
COPY --chown=recmm requirements requirements
COPY --chown=recmm recmm recmm
COPY --chown=recmm hydra_plugins hydra_plugins
COPY --chown=recmm conf conf
COPY --chown=recmm train.py ./
RUN make setup TORCH_INDEX="$TORCH_INDEX"
ENV PATH=/recmm/.venv/bin:$PATH WANDB_MODE=offline
ENTRYPOINT ["python", "train.py"]
CMD ["experiment=demo"]
