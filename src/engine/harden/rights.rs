//! What a role that is no superuser may do here. From PostgreSQL 15 on all that a stage asks over SQL can be granted, one by
//! one (<https://www.postgresql.org/docs/current/sql-grant.html>); what is missing is named so that it can be typed.

use std::collections::BTreeSet;

use crate::dial::{Deadline, Session};
use crate::engine::Error;
use crate::plan::identifier;

use super::survey::{ask, refused};

/// Since when settings can be granted.
const SINCE: u16 = 15;

/// Each right in the words of `GRANT`, where this role has it not.
const MISSING: &str = "SELECT what FROM (VALUES \
    (1, 'pg_read_all_settings', pg_has_role('pg_read_all_settings', 'usage')), \
    (2, 'pg_read_all_stats', pg_has_role('pg_read_all_stats', 'usage')), \
    (3, 'pg_read_server_files', pg_has_role('pg_read_server_files', 'usage')), \
    (4, 'EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean)', \
        has_function_privilege('pg_read_binary_file(text, bigint, bigint, boolean)', 'execute')), \
    (5, 'EXECUTE ON FUNCTION pg_read_binary_file(text)', has_function_privilege('pg_read_binary_file(text)', 'execute')), \
    (6, 'EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean)', \
        has_function_privilege('pg_ls_dir(text, boolean, boolean)', 'execute')), \
    (7, 'EXECUTE ON FUNCTION pg_stat_file(text, boolean)', \
        has_function_privilege('pg_stat_file(text, boolean)', 'execute')), \
    (8, 'EXECUTE ON FUNCTION pg_show_all_file_settings()', \
        has_function_privilege('pg_show_all_file_settings()', 'execute')), \
    (9, 'SELECT ON pg_file_settings', has_table_privilege('pg_file_settings', 'select')), \
    (10, 'EXECUTE ON FUNCTION pg_hba_file_rules()', has_function_privilege('pg_hba_file_rules()', 'execute')), \
    (11, 'SELECT ON pg_hba_file_rules', has_table_privilege('pg_hba_file_rules', 'select')), \
    (12, 'EXECUTE ON FUNCTION pg_reload_conf()', has_function_privilege('pg_reload_conf()', 'execute')) \
    ) AS rights (at, what, has) WHERE NOT has ORDER BY at";

const UNALTERABLE: &str = "SELECT name FROM pg_settings WHERE name LIKE 'ssl%' AND NOT has_parameter_privilege(name, 'ALTER SYSTEM')";

/// Settings of TLS that this role may not alter. An error where it lacks what every stage needs.
pub async fn of(
    session: &mut Session,
    role: &str,
    major: u16,
    limit: &dyn Fn() -> Deadline,
) -> Result<BTreeSet<String>, Error> {
    const SUPERUSER: &str = "log in as a superuser, such as postgres over the server's own socket";
    if major < SINCE {
        return Err(refused(
            format!(
                "{} is no superuser, and only a superuser sees and reloads what has to change",
                crate::pki::printable(role)
            ),
            SUPERUSER,
        ));
    }
    let doing = "asking what this role may do";
    let rows = ask(session, doing, MISSING, limit()).await?;
    let missing: Vec<_> = (0..rows.rows.len())
        .filter_map(|at| rows.value(at, "what"))
        .collect();
    if !missing.is_empty() {
        let role_name = identifier(role);
        let grants: Vec<_> = missing
            .iter()
            .map(|what| format!("GRANT {what} TO {role_name};"))
            .collect();
        return Err(refused(
            format!(
                "{} is no superuser, and lacks what a superuser sees and does here: {}",
                crate::pki::printable(role),
                missing.join(", ")
            ),
            format!(
                "{SUPERUSER}; or let a superuser run: {}",
                crate::pki::printable(&grants.join(" "))
            ),
        ));
    }
    let rows = ask(session, doing, UNALTERABLE, limit()).await?;
    Ok((0..rows.rows.len())
        .filter_map(|at| rows.value(at, "name").map(str::to_owned))
        .collect())
}

/// Whether those settings may be altered.
pub fn may_alter<'a>(
    unalterable: &BTreeSet<String>,
    role: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), Error> {
    let lacking: Vec<_> = names.filter(|name| unalterable.contains(*name)).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let lacking = lacking.join(", ");
    Err(refused(
        format!("{} may not alter {lacking}", crate::pki::printable(role)),
        format!(
            "log in as a superuser, or let one run: GRANT ALTER SYSTEM ON PARAMETER {lacking} TO {}; nothing was written",
            crate::pki::printable(&identifier(role))
        ),
    ))
}
