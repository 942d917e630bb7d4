#!/usr/bin/env bash
# What a page of notes leaves that is careful about its clients: a server's files below etc/postgresql, and one program
# for each of four languages.
set -euo pipefail
mkdir -p etc/postgresql/tls src
(
    cd etc/postgresql/tls
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ../../../ca.key.elsewhere -out ca.crt -days 3650 -subj '/CN=company CA'
    openssl req -new -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj '/CN=db.example.com'
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ../../../ca.key.elsewhere -CAcreateserial -out server.crt -days 365 \
        -extfile <(printf 'subjectAltName=DNS:db.example.com\nextendedKeyUsage=serverAuth')
    # The company's CA is not on this machine.
    rm -f ../../../ca.key.elsewhere server.csr ca.srl
    chmod 0600 server.key
    chmod 0644 server.crt ca.crt
) 2>/dev/null
cat >etc/postgresql/postgresql.conf <<'CONF'
ssl = on
ssl_cert_file = '/etc/postgresql/tls/server.crt'
ssl_key_file = '/etc/postgresql/tls/server.key'
ssl_ca_file = '/etc/postgresql/tls/ca.crt'
ssl_min_protocol_version = 'TLSv1.2'
CONF
cat >etc/postgresql/pg_hba.conf <<'CONF'
# TYPE    DATABASE  USER       ADDRESS        METHOD
hostssl   orders    order_app  10.0.0.0/16    scram-sha-256
hostssl   orders    dba_order  10.0.10.0/24   scram-sha-256
CONF
cat >src/PgTlsExample.java <<'CODE'
Properties props = new Properties();
props.setProperty("user", "order_app");
props.setProperty("password", System.getenv("DB_PASSWORD"));
props.setProperty("sslmode", "verify-full");
props.setProperty("sslrootcert", "/etc/ssl/company-ca.pem");
CODE
cat >src/main.py <<'CODE'
conninfo = (
    "host=db.example.com port=5432 dbname=orders user=order_app "
    "sslmode=verify-full sslrootcert=/etc/ssl/company-ca.pem"
)
with psycopg.connect(conninfo, password=os.environ["DB_PASSWORD"]) as conn:
    pass
CODE
cat >src/main.go <<'CODE'
url := "postgres://order_app:" + os.Getenv("DB_PASSWORD") +
	"@db.example.com:5432/orders?sslmode=verify-full&sslrootcert=/etc/ssl/company-ca.pem"
CODE
cat >src/main.mjs <<'CODE'
const pool = new Pool({
  host: "db.example.com",
  password: process.env.DB_PASSWORD,
  ssl: { ca: fs.readFileSync("/etc/ssl/company-ca.pem", "utf8"), rejectUnauthorized: true }
});
CODE
