# The job, its worker and its command line in one image. Data is in the volume /data; see docs/operations.md.
FROM python:3.12-slim-bookworm

# git is what Prefect asks for the version of the code; a missing one costs a warning at each deploy.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.lock ./
# Compiled now and not at each start: the imports of a run take seconds, and twice that otherwise.
RUN pip install --no-cache-dir --require-hashes --compile -r requirements.lock
COPY pyproject.toml README.md LICENSE prefect.yaml ./
COPY flows flows
COPY tasks tasks
COPY sql sql
COPY expectations expectations
RUN pip install --no-cache-dir --no-deps --editable . \
    && useradd --create-home --uid 1000 rotation \
    && install --directory --owner rotation /data

USER rotation
ENV ROTATION_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
ENTRYPOINT ["rotation"]
CMD ["run"]
