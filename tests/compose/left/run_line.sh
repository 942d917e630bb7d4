#!/usr/bin/env bash
# What a tutorial leaves that starts PostgreSQL by `docker run` with POSTGRES_HOST_AUTH_METHOD=trust, and shows a
# pg_hba.conf whose address column got lost.
set -euo pipefail
(
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key.elsewhere -out root.crt -days 3650 -subj '/CN=step CA'
    openssl req -new -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj '/CN=localhost'
    openssl x509 -req -in server.csr -CA root.crt -CAkey ca.key.elsewhere -CAcreateserial -out server.crt -days 1 \
        -extfile <(printf 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth')
    rm -f ca.key.elsewhere server.csr root.srl
) 2>/dev/null
mkdir tls
mv server.crt server.key tls
cat >run.sh <<'CODE'
#!/bin/sh
docker run -it --rm -e POSTGRES_HOST_AUTH_METHOD=trust \
  --mount type=bind,source="$PWD"/tls,target=/var/run/postgresql/tls \
  -p 5432:5432 \
  postgres \
  -c ssl=on \
  -c ssl_cert_file=/var/run/postgresql/tls/server.crt \
  -c ssl_key_file=/var/run/postgresql/tls/server.key \
  -c ssl_min_protocol_version=TLSv1.2
CODE
cat >pg_hba.conf <<'CONF'
# TYPE     DATABASE        USER            ADDRESS              METHOD
local      all             all                                  trust
hostssl    all             all             localhost            scram-sha-256
hostssl    all             all               scram-sha-256
# Or, use client certificates with a CN set to the username
hostssl    all             all               cert
CONF
