# The service alone: the packages it needs, service/ and models/. No TensorFlow, no compiler, no pip, nothing that writes.
#
#     docker build --tag digits .
#     docker run --read-only --tmpfs /tmp --publish 127.0.0.1:8000:8000 digits
#
# BASE holds Python 3.11 to 3.13; it needs no shell. BUILDER is the same system with pip.
ARG BASE=docker.io/library/python:3.13-slim-trixie
ARG BUILDER=${BASE}

# Compiled once, here: a read-only file system keeps no cache, and what never changes needs no time stamps compared.
FROM ${BUILDER} AS packages
COPY requirements.txt /build/
RUN python3 -m pip install --require-hashes --only-binary :all: --no-deps --no-cache-dir --no-compile \
        --disable-pip-version-check --root-user-action ignore --target /app/packages --requirement /build/requirements.txt \
    && find /app/packages -type d \( -name tests -o -name include \) -prune -exec rm -r {} + \
    && find /app/packages -name '*.a' -delete \
    && rm -r /app/packages/bin \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /app/packages

FROM ${BUILDER} AS program
COPY models/digits.onnx models/digits.json models/columns.onnx models/columns.json /app/models/
COPY service /app/service
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app/service && chmod -R a+rX /app

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="digits" \
      org.opencontainers.image.description="Reads handwritten digits from forms: which digit, how sure, and whether it may be used unread." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Where the base brings pip, it goes.
RUN ["python3", "-c", "import importlib.util, shutil; [shutil.rmtree(found.submodule_search_locations[0]) for name in ('pip', 'ensurepip') if (found := importlib.util.find_spec(name))]"]

COPY --from=packages /app/packages /app/packages
COPY --from=program /app /app

# numpy's own threads would only take memory: each process works on one core.
ENV PYTHONPATH=/app:/app/packages \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1 \
    ORT_DISABLE_TELEMETRY=1 \
    DIGITS_HOST=0.0.0.0 \
    DIGITS_PORT=8000 \
    DIGITS_LOG_FORMAT=json

USER 10001:10001
WORKDIR /app
EXPOSE 8000

# The build ends here if base and builder do not fit, or the model is not what the service takes.
RUN ["python3", "-m", "service.cli", "info"]

HEALTHCHECK --interval=30s --timeout=3s --start-period=30s \
    CMD ["python3", "-c", "import os, urllib.request as http; http.urlopen(f'http://127.0.0.1:{os.environ[\"DIGITS_PORT\"]}/health/ready', timeout=2)"]

ENTRYPOINT ["python3", "-m", "service.cli"]
CMD ["serve"]
