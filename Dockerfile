# docker build -t gatescope .  &&  docker run --rm -p 8000:8000 -v gatescope:/data gatescope
# Every GATESCOPE_… variable may be given with -e. For strangers, behind TLS: compose.yaml.
# It writes to /data and /tmp only: add --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --init

FROM python:3.11-slim AS build
# PyTorch's own index has the CPU build, a tenth of the size of the one with CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
RUN python -m venv /opt/gatescope
COPY constraints.txt ./
# The largest layer first: it changes only with the pins.
RUN /opt/gatescope/bin/pip install --no-cache-dir -c constraints.txt --extra-index-url "$TORCH_INDEX" torch
COPY pyproject.toml README.md ./
COPY models models
COPY app app
COPY templates templates
COPY static static
# pip compiles what it installs: a read-only container cannot do that later
RUN /opt/gatescope/bin/pip install --no-cache-dir --compile -c constraints.txt '.[compiled]'

FROM python:3.11-slim
COPY --from=build /opt/gatescope /opt/gatescope
RUN useradd --system --uid 10001 --no-create-home gatescope && \
    install --directory --mode=0700 --owner=gatescope /data
ENV PATH=/opt/gatescope/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GATESCOPE_HOST=0.0.0.0 \
    GATESCOPE_PORT=8000 \
    GATESCOPE_DATA=/data
# by number, so that a platform can see that it is not root
USER 10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["python", "-c", \
  "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"GATESCOPE_PORT\"]}/healthz', timeout=4)"]
CMD ["gatescope", "serve"]
