//! What becomes of a connection under the record that decides over it.

use super::test::role;
use super::{Channel, Connection, Decision, Doubt, World};
use crate::conf::hba::{ClientCert, ClientName, Method, Role, Rule};
use crate::conf::ident::{Mapping, SystemName};

/// What the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It lets everybody in (`trust`), or the certificate proves enough (`cert`).
    LetIn,
    /// It asks for a proof of that method.
    Asks(Method),
    /// It refuses, whatever else the client has.
    Refused(Refusal),
    /// It cannot be told.
    Unsure,
}

/// Why it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No record matches.
    NoRecord,
    /// The record says `reject`.
    Rejected,
    /// The record wants a client certificate, and there is none.
    NoCertificate,
    /// The certificate names somebody else.
    OtherName,
}

/// What becomes of the connection.
#[must_use]
pub fn outcome(rules: &[Rule], decision: &Decision, connection: &Connection, world: &World) -> Outcome {
    let under = |at: usize| {
        rules
            .get(at)
            .map_or(Outcome::Unsure, |rule| under(rule, connection, world))
    };
    let certain = decision.record.map_or(Outcome::Refused(Refusal::NoRecord), under);
    // Where every record that may decide does the same, it does not matter which does.
    if decision.unsure.iter().all(|at| under(*at) == certain) {
        certain
    } else {
        Outcome::Unsure
    }
}

fn under(rule: &Rule, connection: &Connection, world: &World) -> Outcome {
    let record = &rule.record;
    if record.method == Method::Reject {
        return Outcome::Refused(Refusal::Rejected);
    }
    if let Some(wanted) = record.options.clientcert {
        let Channel::Tls(_, Some(name)) = &connection.channel else {
            return Outcome::Refused(Refusal::NoCertificate);
        };
        if wanted == ClientCert::VerifyFull {
            let is_role = if record.options.clientname == ClientName::DistinguishedName {
                // Only the common name is known here.
                Err(Doubt::Pattern)
            } else {
                is_role(record.options.map.as_deref(), name, &connection.user, world)
            };
            match is_role {
                Ok(true) => {}
                Ok(false) => return Outcome::Refused(Refusal::OtherName),
                Err(_) => return Outcome::Unsure,
            }
        }
    }
    match record.method {
        Method::Trust | Method::Cert => Outcome::LetIn,
        method => Outcome::Asks(method),
    }
}

/// Whether a name may be that role (`check_usermap`): without a map it must be its name.
fn is_role(map: Option<&[u8]>, name: &str, user: &str, world: &World) -> Result<bool, Doubt> {
    let Some(map) = map.filter(|map| !map.is_empty()) else {
        return Ok(name == user);
    };
    let maps = world.maps.as_ref().ok_or(Doubt::Membership)?;
    let mut doubt = None;
    for mapping in maps.mappings().iter().filter(|mapping| &*mapping.map == map) {
        match maps_to(mapping, name, user, world) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(why) => doubt = Some(why),
        }
    }
    doubt.map_or(Ok(false), Err)
}

fn maps_to(mapping: &Mapping, name: &str, user: &str, world: &World) -> Result<bool, Doubt> {
    match &mapping.system {
        SystemName::Named(system) => {
            if **system != *name.as_bytes() {
                return Ok(false);
            }
        }
        SystemName::Pattern(pattern) => {
            if !pattern.matches(name).ok_or(Doubt::Pattern)? {
                return Ok(false);
            }
            // What the parentheses hold is put in the place of \1, which is not followed here.
            if let Role::Named(role) = &mapping.role
                && role.windows(2).any(|pair| pair == b"\\1")
            {
                return Err(Doubt::Pattern);
            }
        }
    }
    role(&mapping.role, user, world)
}
