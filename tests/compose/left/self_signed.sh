#!/usr/bin/env bash
# What a how-to leaves that signs the server's certificate with its own key, without names, and turns TLS on in the
# command. With `enforced` as argument: its later step, which adds a pg_hba.conf.
set -euo pipefail
mkdir -p postgres-certs
(
    cd postgres-certs
    openssl genrsa -out server.key 2048
    openssl req -new -key server.key -out server.csr -subj '/C=US/ST=State/L=City/O=Organization/CN=postgres'
    openssl x509 -req -in server.csr -signkey server.key -out server.crt -days 365
    chmod 600 server.key
    chmod 644 server.crt
) 2>/dev/null
hba='' file=''
if [ "${1:-}" = enforced ]; then
    cat >postgres-certs/pg_hba.conf <<'CONF'
# TYPE  DATABASE        USER            ADDRESS                 METHOD
hostssl all             all             0.0.0.0/0               scram-sha-256
hostssl all             all             ::/0                    scram-sha-256
CONF
    hba='
      - ./postgres-certs/pg_hba.conf:/var/lib/postgresql/pg_hba.conf'
    file='
      -c hba_file=/var/lib/postgresql/pg_hba.conf'
fi
cat >docker-compose.yml <<YAML
version: '3.8'

services:
  postgres:
    image: postgres:16-alpine
    container_name: postgres-ssl
    environment:
      POSTGRES_USER: admin
      POSTGRES_PASSWORD: securepassword
      POSTGRES_DB: mydb
    volumes:
      - ./postgres-certs:/var/lib/postgresql/certs$hba
      - postgres-data:/var/lib/postgresql/data
    command: >
      -c ssl=on
      -c ssl_cert_file=/var/lib/postgresql/certs/server.crt
      -c ssl_key_file=/var/lib/postgresql/certs/server.key$file
    ports:
      - "5432:5432"

volumes:
  postgres-data:
YAML
cat >connect.sh <<'CODE'
#!/bin/sh
# Use sslmode=require instead of verify-ca/verify-full for self-signed certs
psql "postgresql://admin:securepassword@localhost:5432/mydb?sslmode=require"
CODE
