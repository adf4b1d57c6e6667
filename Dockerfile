# The router, its learner and its commands. Built in two stages; runs as nobody in particular, on a read-only root.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /opt/highwayman \
 && /opt/highwayman/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY bandit bandit
COPY client client
COPY env env
COPY feedback feedback
COPY pages pages
COPY serving serving
COPY sims sims
COPY demo demo
RUN /opt/highwayman/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
COPY --from=build /opt/highwayman /opt/highwayman
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/highwayman
# What must outlive the container lies in /var/lib/highwayman (spool, signing secrets, the embedded Valkey); /tmp is scratch.
ENV PATH=/opt/highwayman/bin:$PATH \
    XDG_STATE_HOME=/var/lib \
    XDG_CACHE_HOME=/tmp \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
VOLUME ["/var/lib/highwayman", "/tmp"]
EXPOSE 8790
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8790/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["highwayman"]
CMD ["serve", "--host", "0.0.0.0", "--pool", "/etc/highwayman/pool.yaml", "--config", "/etc/highwayman/highwayman.yaml"]
