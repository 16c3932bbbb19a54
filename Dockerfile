# Three stages: two have what builds, the last what runs. tests/test_dockerfile.py follows the steps
# without an engine.
FROM python:3.11-slim-bookworm AS build
WORKDIR /srv/suxin
COPY requirements-setup.lock requirements.lock ./
RUN python -m venv /opt/venv
RUN /opt/venv/bin/python -m pip install --quiet --no-cache-dir --require-hashes -r requirements-setup.lock
RUN /opt/venv/bin/python -m uv pip install --quiet --python /opt/venv/bin/python --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY static ./static
COPY scripts/verify_bundle.py scripts/verify_proof.py ./scripts/
COPY app ./app
# In place, so that the service finds static/ beside its package, as in a checkout.
RUN /opt/venv/bin/python -m uv pip install --quiet --python /opt/venv/bin/python --no-deps --no-build-isolation --editable .
RUN /opt/venv/bin/python -m uv pip uninstall --quiet --python /opt/venv/bin/python uv setuptools
RUN /opt/venv/bin/python -m compileall -q app

# The camera page's decoder; no program of Node's reaches what runs.
FROM node:22-bookworm-slim AS browser
WORKDIR /srv/suxin
COPY package.json package-lock.json ./
RUN npm ci --silent --omit=dev --ignore-scripts --no-audit --no-fund

FROM python:3.11-slim-bookworm
# Label sheets embed this font; nothing else is added to the base.
RUN apt-get update \
 && apt-get install -y --no-install-recommends fonts-wqy-microhei \
 && rm -rf /var/lib/apt/lists/*
# A fixed number, so that a volume's owner is the same on every host.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin suxin \
 && install -d -o suxin -g suxin -m 0700 /var/lib/suxin/data /var/lib/suxin/keys
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/suxin /srv/suxin
COPY --from=browser /srv/suxin/node_modules /srv/suxin/node_modules
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SUXIN_DATA_DIR=/var/lib/suxin/data \
    SUXIN_KEYS_DIR=/var/lib/suxin/keys
WORKDIR /srv/suxin
USER suxin
# Apart, because whoever restores one backup must not be able to roll back the other: the keys folder
# holds the anchor that a restored database is compared with.
VOLUME ["/var/lib/suxin/data"]
VOLUME ["/var/lib/suxin/keys"]
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# Data and keys are made once, on purpose:  docker run … suxin init
ENTRYPOINT ["suxin"]
CMD ["serve", "--host", "0.0.0.0"]
