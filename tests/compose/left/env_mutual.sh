#!/usr/bin/env bash
# The second half of the same walk-through: a CA, a server's and a client's certificate in one directory, and a map of
# names that no certificate matches.
set -euo pipefail
mkdir -p .docker/postgres/config .docker/postgres/certs
(
    cd .docker/postgres/certs
    openssl genrsa -out root.key 4096
    openssl req -x509 -new -nodes -key root.key -sha256 -days 36500 -out root.crt \
        -subj '/C=US/ST=California/L=San Francisco/O=MyCompany/OU=IT/CN=PostgreSQL Root CA'
    openssl genrsa -out server.key 4096
    openssl req -new -key server.key -out server.csr \
        -subj '/C=US/ST=California/L=San Francisco/O=MyCompany/OU=Database/CN=postgres'
    openssl x509 -req -in server.csr -CA root.crt -CAkey root.key -CAcreateserial -out server.crt -days 36500 -sha256 \
        -extfile <(printf 'subjectAltName=DNS:localhost,DNS:postgres,IP:127.0.0.1,IP:192.168.0.23')
    openssl genrsa -out client.key 4096
    openssl req -new -key client.key -out client.csr \
        -subj '/C=US/ST=California/L=San Francisco/O=MyCompany/OU=Developers/CN=postgres'
    openssl x509 -req -in client.csr -CA root.crt -CAkey root.key -CAcreateserial -out client.crt -days 36500 -sha256
) 2>/dev/null
cat >.docker/postgres/config/postgresql.conf <<'CONF'
ssl = on
ssl_cert_file = '/var/lib/postgresql/server.crt'
ssl_key_file = '/var/lib/postgresql/server.key'
ssl_ca_file = '/var/lib/postgresql/root.crt'
CONF
cat >.docker/postgres/config/pg_hba.conf <<'CONF'
hostssl all all 0.0.0.0/0 cert map=my_map
hostssl all all all cert clientcert=verify-full
hostnossl all all all reject
CONF
echo 'my_map /CN=client postgres' >.docker/postgres/config/pg_ident.conf
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
      - ./.docker/postgres/config/pg_ident.conf:/etc/postgresql/pg_ident.conf
      - ./.docker/postgres/config/postgresql.conf:/etc/postgresql/postgresql.conf
      - ./.docker/postgres/certs/server.crt:/var/lib/postgresql/server.crt:ro
      - ./.docker/postgres/certs/server.key:/var/lib/postgresql/server.key:ro
      - ./.docker/postgres/certs/root.crt:/var/lib/postgresql/root.crt:ro
      - postgres:/var/lib/postgresql/data
    command:
        - postgres
        - -c
        - config_file=/etc/postgresql/postgresql.conf
        - -c
        - hba_file=/etc/postgresql/pg_hba.conf
        - -c
        - ident_file=/etc/postgresql/pg_ident.conf
volumes:
  postgres:
YAML
echo 'DATABASE_URL="postgresql://postgres:postgres@postgres:5432/database?sslmode=verify-full&sslcert=client.crt&sslkey=client.key&sslrootcert=root.crt"' >.env
