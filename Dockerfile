# The wheels are installed in one stage and carried into another that has no build tools.
FROM python:3.12-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /venv
COPY requirements-runtime.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements-runtime.lock

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --shell /usr/sbin/nologin --home-dir /var/lib/marquee --create-home marquee
COPY --from=build /venv /venv
WORKDIR /app
COPY pyproject.toml ./
COPY actors actors
COPY persistence persistence
COPY server server
COPY static static
USER marquee
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    MARQUEE_HOST=0.0.0.0 MARQUEE_DATA_DIR=/var/lib/marquee MARQUEE_LOG_FORMAT=json
VOLUME /var/lib/marquee
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/ready' % os.environ.get('MARQUEE_PORT', 8080), timeout=2)"]
ENTRYPOINT ["python", "-m", "server"]
CMD ["serve"]
