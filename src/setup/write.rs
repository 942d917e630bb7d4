//! Writes a [`Setup`] as `pgtls.toml`, in one canonical form.

use std::fmt::Write as _;
use std::path::Path;

use toml::Value;

use super::access::default_clients;
use super::model::{CertificateSource, Setup};

const HEADER: &str = "\
# What pgtls was asked for. `pgtls up` starts from here; flags change it.
# There is no secret in this file: it may be kept under version control.
";

pub(super) fn to_toml(setup: &Setup) -> String {
    let mut out = String::from(HEADER);
    out.push('\n');
    key(&mut out, "mode", text(setup.mode.name()));
    key(&mut out, "auth", text(setup.auth.name()));
    key(&mut out, "run", text(setup.run.name()));
    key(&mut out, "hosts", texts(&setup.hosts));
    if let Some(port) = setup.port {
        key(&mut out, "port", i64::from(port));
    }
    if let Some(version) = setup.pg_version {
        key(&mut out, "pg-version", i64::from(version));
    }
    if let Some(path) = &setup.pg_bin {
        key(&mut out, "pg-bin", file(path));
    }
    if let Some(image) = &setup.image {
        key(&mut out, "image", text(image.as_str()));
    }
    key(&mut out, "algorithm", text(setup.algorithm.name()));
    key(&mut out, "days", i64::from(setup.days));
    key(&mut out, "ca-days", i64::from(setup.ca_days));
    match &setup.certificates {
        CertificateSource::Own => {}
        CertificateSource::Ca {
            certificate,
            key: private,
        } => {
            key(&mut out, "ca-cert", file(certificate));
            key(&mut out, "ca-key", file(private));
        }
        CertificateSource::Given {
            certificate,
            key: private,
            root,
        } => {
            key(&mut out, "server-cert", file(certificate));
            key(&mut out, "server-key", file(private));
            key(&mut out, "root", file(root));
        }
    }
    if let Some(path) = &setup.client_ca {
        key(&mut out, "client-ca", file(path));
    }
    for access in &setup.access {
        out.push_str("\n[[access]]\n");
        key(&mut out, "role", text(&access.role));
        key(&mut out, "databases", texts(&access.databases));
        key(&mut out, "addresses", texts(&access.addresses));
        if access.method != setup.auth {
            key(&mut out, "method", text(access.method.name()));
        }
    }
    // Left out where they follow from the access tables, so that another role brings another certificate.
    if setup.clients != default_clients(&setup.access) {
        for client in &setup.clients {
            out.push_str("\n[[client]]\n");
            key(&mut out, "cn", text(&client.cn));
            key(&mut out, "role", text(&client.role));
        }
    }
    out
}

fn key(out: &mut String, name: &str, value: impl Into<Value>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{name} = {}", value.into());
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn texts<T: ToString>(items: &[T]) -> Value {
    Value::Array(items.iter().map(|item| Value::String(item.to_string())).collect())
}

fn file(path: &Path) -> Value {
    // Validation lets only UTF-8 paths through.
    text(&path.to_string_lossy())
}
