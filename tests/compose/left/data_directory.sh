#!/usr/bin/env bash
# What a guide to mutual TLS leaves in a data directory: certificates of a day, md5, and clientcert=1.
set -euo pipefail
(
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key.elsewhere -out ca.crt -days 3650 -subj '/CN=step CA'
    openssl req -new -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj '/CN=myserver.internal'
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key.elsewhere -CAcreateserial -out server.crt -days 1 \
        -extfile <(printf 'subjectAltName=DNS:myserver.internal\nextendedKeyUsage=serverAuth,clientAuth')
    rm -f ca.key.elsewhere server.csr ca.srl
    chmod 0600 server.key
) 2>/dev/null
cp ca.crt root.crt
cat >postgresql.conf <<'CONF'
listen_addresses = '*'
ssl = on
ssl_ca_file = 'root.crt'
CONF
# What initdb made, its host lines changed to hostssl, and the guide's two lines.
cat >pg_hba.conf <<'CONF'
# TYPE  DATABASE        USER            ADDRESS                 METHOD
local   all             all                                     peer
hostssl all             all             127.0.0.1/32            scram-sha-256
hostssl all             all             ::1/128                 scram-sha-256
hostssl all             all             all                     md5
# IPv4 remote connections for authenticated users
hostssl all             myuser          10.0.0.0/8              md5 clientcert=1
hostssl all             myuser          10.0.0.0/8              cert clientcert=1
CONF
