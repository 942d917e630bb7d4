#!/usr/bin/env bash
# What a walk-through leaves that mounts a configuration and a self-signed certificate of a hundred years, file by file,
# and has clients say sslmode=require.
set -euo pipefail
mkdir -p .docker/postgres/config .docker/postgres/certs
# The names are asked for there, and answered by Enter: the subject is what openssl proposes.
(cd .docker/postgres/certs && openssl req -x509 -newkey rsa:4096 -sha256 -nodes -keyout key.pem -out cert.pem \
    -days 36500 -subj '/C=AU/ST=Some-State/O=Internet Widgits Pty Ltd' 2>/dev/null)
cat >.docker/postgres/config/postgresql.conf <<'CONF'
ssl = on
ssl_cert_file = '/var/lib/postgresql/cert.pem'
ssl_key_file = '/var/lib/postgresql/key.pem'
CONF
cat >.docker/postgres/config/pg_hba.conf <<'CONF'
hostssl all all all scram-sha-256
hostnossl all all all reject
CONF
cat >docker-compose.yml <<'YAML'
services:
  postgres:
    image: postgres:16.3
    ports:
      - '5432:5432'
    environment:
      - POSTGRES_PASSWORD=postgres
      - POSTGRES_USER=postgres
      - POSTGRES_DB=postgres
    volumes:
      - ./.docker/postgres/config/pg_hba.conf:/etc/postgresql/pg_hba.conf
      - ./.docker/postgres/config/postgresql.conf:/etc/postgresql/postgresql.conf
      - ./.docker/postgres/certs/cert.pem:/var/lib/postgresql/cert.pem:ro
      - ./.docker/postgres/certs/key.pem:/var/lib/postgresql/key.pem:ro
      - postgres:/var/lib/postgresql/data
    command:
        - postgres
        - -c
        - config_file=/etc/postgresql/postgresql.conf
        - -c
        - hba_file=/etc/postgresql/pg_hba.conf
YAML
echo 'DATABASE_URL="postgresql://postgres:postgres@postgres:5432/database?sslmode=require"' >.env
