# The job, its worker and its command line in one image. The data is in the volume /data; see docs/operations.md.
FROM python:3.12-slim-bookworm AS wheel
WORKDIR /build
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist .

FROM python:3.12-slim-bookworm
# `prefect deploy` calls git to record the version of the code, and warns when it is missing.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

COPY requirements.lock ./
# Compiled during the build: the imports of a run take seconds, and twice as long without compiled files. The lock has every dependency, so none is
# resolved: older versions of pip refuse one with an extra (sqlalchemy[asyncio]) when hashes are required. `pip check` says that none is missing.
RUN pip install --no-cache-dir --no-deps --require-hashes --compile -r requirements.lock
COPY --from=wheel /dist /dist
RUN pip install --no-cache-dir --no-deps --compile /dist/*.whl \
    && pip check \
    && useradd --create-home --uid 1000 rotation \
    && install --directory --owner rotation /data

USER rotation
WORKDIR /home/rotation
ENV ROTATION_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
ENTRYPOINT ["rotation"]
CMD ["run"]
