# Stands in for the images of Prometheus and Alertmanager: Debian's programs, with the folders and the wget that those have.
ARG BASE
FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends prometheus prometheus-alertmanager wget && rm -rf /var/lib/apt/lists/* && \
    install -d -o nobody -g nogroup /prometheus /alertmanager
USER 65534:65534
