# The image of a node: the wheel is built with Rust in one stage, installed in a second, and runs
# in a third without compilers, without pip's leftovers and without root.
#   docker build -t chatrooms .
#   docker run -p 8000:8000 -p 8001:8001 -v chatrooms:/var/lib/chatrooms chatrooms
# BUILDER needs Rust, a C compiler (for mimalloc, and to link) and Python with venv; BASE needs
# Python 3.11 or newer with venv.
# Both want the same C library, so take both from one Debian release.
ARG BUILDER=rust:1-bookworm
ARG BASE=python:3.11-slim-bookworm

FROM ${BUILDER} AS builder
# The newest of this release's Python is right: it only runs maturin.
# hadolint ignore=DL3008
RUN python3 -c 'import ensurepip' 2>/dev/null \
    || { apt-get update \
        && apt-get install -y --no-install-recommends python3-venv \
        && rm -rf /var/lib/apt/lists/*; }
WORKDIR /build
COPY requirements-build.lock ./
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY . .
RUN /opt/tools/bin/maturin build --release --locked --out /dist

FROM ${BASE} AS installed
COPY requirements.lock /build/
RUN python3 -m venv /opt/chatrooms \
    && /opt/chatrooms/bin/pip install --no-cache-dir --require-hashes -r /build/requirements.lock
COPY --from=builder /dist /build/dist
RUN /opt/chatrooms/bin/pip install --no-cache-dir --no-deps /build/dist/chatrooms-*.whl \
    && /opt/chatrooms/bin/pip uninstall -y pip setuptools

FROM ${BASE}
LABEL org.opencontainers.image.title="Chat Rooms" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=installed /opt/chatrooms /opt/chatrooms
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin chatrooms \
    && install -d -o chatrooms -g chatrooms -m 0750 /var/lib/chatrooms
ENV PATH=/opt/chatrooms/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CHATROOMS_DATA_DIR=/var/lib/chatrooms
USER 10001:10001
WORKDIR /var/lib/chatrooms
VOLUME ["/var/lib/chatrooms"]
# 8000 is HTTP, 8001 the WebSockets.
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# SIGTERM drains: give it more than the ten seconds that a drain may take (docker stop -t 15).
CMD ["chatrooms", "serve", "--host", "0.0.0.0"]
