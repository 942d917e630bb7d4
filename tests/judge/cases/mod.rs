//! The chains that are judged: what is issued, and what is presented to whom.

mod contents;
mod limits;

use super::workshop::{Recipe, Workshop};

const CA: &str =
    "basicConstraints=critical,CA:TRUE; keyUsage=critical,keyCertSign,cRLSign; subjectKeyIdentifier=hash";
/// A server's leaf that no rule objects to, without a pointer to its issuer's key.
const PLAIN: &str = "basicConstraints=critical,CA:FALSE; keyUsage=critical,digitalSignature; \
    extendedKeyUsage=serverAuth; subjectAltName=DNS:db.example.org";
const SERVER: &str = "basicConstraints=critical,CA:FALSE; keyUsage=critical,digitalSignature; \
    extendedKeyUsage=serverAuth; subjectAltName=DNS:db.example.org; subjectKeyIdentifier=hash; \
    authorityKeyIdentifier=keyid";
/// The least a leaf says.
const BARE: &str = "basicConstraints=CA:FALSE; subjectAltName=DNS:db.example.org";
const HOST: &str = "/CN=db.example.org";

/// Names of certificates and lists, by file name without its ending.
#[derive(Debug)]
pub struct Case {
    pub presented: Vec<String>,
    pub trust: Vec<String>,
    pub lists: Vec<String>,
    pub client: bool,
}

/// Issues certificates and collects cases as it goes.
pub struct Table {
    pub workshop: Workshop,
    pub cases: Vec<Case>,
}

impl Table {
    pub fn new() -> Self {
        let mut table = Self {
            workshop: Workshop::new(),
            cases: Vec::new(),
        };
        table.roots();
        table.doubtful_cas();
        table.paths();
        table.path_lengths();
        table.leaves();
        table.algorithms();
        table.damage();
        table.name_constraints();
        table.lists_made();
        table.judged_lists();
        table
    }

    fn cert(&mut self, name: &str, key: &str, issuer: &str, subject: &str, extensions: &str, options: &str) {
        let recipe: Recipe<'_> = (name, key, issuer, subject, extensions, options);
        self.workshop.issue(&recipe);
    }

    fn case(&mut self, presented: &str, trust: &str) {
        self.listed(presented, trust, "");
    }

    fn listed(&mut self, presented: &str, trust: &str, lists: &str) {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let (presented, trust, lists) = (words(presented), words(trust), words(lists));
        self.cases.push(Case {
            presented,
            trust,
            lists,
            client: false,
        });
    }

    /// Cases in a row: `presented < trusted < lists`, with ` | ` between.
    fn all(&mut self, cases: &str) {
        for case in cases.split('|') {
            let mut parts = case.split('<');
            let mut part = || parts.next().unwrap_or_default();
            self.listed(part(), part(), part());
        }
    }

    fn as_client(&mut self, presented: &str, trust: &str) {
        self.case(presented, trust);
        if let Some(case) = self.cases.last_mut() {
            case.client = true;
        }
    }

    /// One root in many forms: another key, no key identifier, other dates, other spellings of the name.
    fn roots(&mut self) {
        let bare = "basicConstraints=critical,CA:TRUE";
        self.cert("root", "p256", "self", "/CN=Root", CA, "");
        self.cert("root-bare", "p256", "self", "/CN=Root", bare, "");
        self.cert("twin", "p256-2", "self", "/CN=Root", CA, "");
        self.cert("twin-bare", "p256-2", "self", "/CN=Root", bare, "");
        self.cert("root-old", "p256", "self", "/CN=Root", CA, "from=2010 to=2021");
        self.cert("root-older", "p256", "self", "/CN=Root", CA, "from=2010 to=2015");
        self.cert("root-future", "p256", "self", "/CN=Root", CA, "from=2040");
        self.cert("root-case", "p256", "self", "/CN=  rOOt ", CA, "");
        self.cert("root-printable", "p256", "self", "/CN=Root", CA, "printable");
        self.cert("other", "p256-3", "self", "/CN=Other Root", CA, "");
        self.cert("leaf", "p256-l", "root", HOST, SERVER, "");
        self.cert("leaf-plain", "p256-l", "root", HOST, PLAIN, "");
        self.cert("leaf-bare", "p256-l", "root-bare", HOST, PLAIN, "");
        self.cert("leaf-v1", "p256-l", "root", HOST, "", "");
        let by_serial = SERVER.replace("keyid", "keyid,issuer:always");
        self.cert("leaf-serial", "p256-l", "root", HOST, &by_serial, "");
        self.cert(
            "leaf-expired",
            "p256-l",
            "root",
            HOST,
            SERVER,
            "from=2015 to=2020",
        );
        self.cert("leaf-future", "p256-l", "root", HOST, SERVER, "from=2040");
        self.cert("leaf-9999", "p256-l", "root", HOST, SERVER, "to=9999");
        self.all(
            "leaf < root | leaf < other | leaf root < root | leaf root < other | leaf leaf < root | leaf < twin | \
             leaf < twin root | leaf < root twin | leaf < twin-bare | leaf < root-bare | leaf-plain < twin | \
             leaf-plain < twin root | leaf-plain < root twin-bare | leaf-plain < twin-bare root | \
             leaf-bare < twin-bare | leaf-bare < twin-bare root-bare | leaf-bare < root-bare twin-bare | \
             leaf-bare twin-bare < other | leaf < root-old | leaf < root-old root | leaf < root root-old | \
             leaf < root-older root-old | leaf < root-old root-older | leaf < root-future | \
             leaf < root-future root-old | leaf root < root-old | leaf < root-case | leaf < root-printable | \
             leaf-v1 < root | leaf-v1 < twin | leaf-serial < root | leaf-serial < root-bare | \
             leaf-serial < root-old | leaf-expired < root | leaf-future < root | leaf-9999 < root | \
             leaf-expired < other | leaf other < root | leaf other root < root twin | other < root | root < root",
        );
        self.as_client("root", "root");
    }

    /// Intermediates: missing, doubled, expired, cross-signed, trusted without their root.
    fn paths(&mut self) {
        let pointed = format!("{CA}; authorityKeyIdentifier=keyid");
        self.cert("inter", "p256-5", "root", "/CN=Inter", &pointed, "");
        self.cert("inter2", "p256-6", "inter", "/CN=Inter Two", &pointed, "");
        self.cert(
            "inter-old",
            "p256-5",
            "root",
            "/CN=Inter",
            CA,
            "from=2015 to=2020",
        );
        self.cert("inter-cross", "p256-5", "other", "/CN=Inter", CA, "");
        self.cert("inter-self", "p256-5", "self", "/CN=Inter", CA, "");
        self.cert("l-inter", "p256-l", "inter", HOST, SERVER, "");
        self.cert("l-inter2", "p256-l", "inter2", HOST, SERVER, "");
        self.cert("by-leaf", "p256-9", "leaf", "/CN=by leaf", PLAIN, "");
        self.all(
            "l-inter < root | l-inter inter < root | l-inter inter root < root | l-inter inter < inter | \
             l-inter < inter | l-inter < root inter | l-inter inter < root inter | l-inter inter-old < root | \
             l-inter inter-old inter < root | l-inter < inter-old inter root | l-inter inter < inter-old root | \
             l-inter inter-cross < root | l-inter inter-cross inter < root | l-inter inter inter-cross < other | \
             l-inter inter-cross < other | l-inter inter-cross < inter root | l-inter inter < inter-cross | \
             l-inter inter < inter-cross root | l-inter inter < inter-cross other | l-inter < inter-self | \
             l-inter inter < inter-self | l-inter inter-self < root | l-inter inter-self inter < root | \
             l-inter2 < root | l-inter2 inter2 < root | l-inter2 inter < root | l-inter2 inter2 inter < root | \
             l-inter2 inter inter2 < root | l-inter2 inter2 inter root < root | l-inter2 inter2 < root inter | \
             l-inter2 inter2 < inter | l-inter2 inter2 inter < other | inter < root | inter < inter | \
             inter2 inter < root | by-leaf leaf < root | by-leaf < root leaf | by-leaf leaf < leaf",
        );
    }

    /// A limit of 0 and of 1; a self-issued CA does not count.
    fn path_lengths(&mut self) {
        for limit in ["0", "1"] {
            let name = |suffix: &str| format!("length{limit}{suffix}");
            let (root, first, second, own) = (name(""), name("-a"), name("-b"), name("-own"));
            let limited = CA.replace("CA:TRUE", &format!("CA:TRUE,pathlen:{limit}"));
            self.cert(&root, "p256-4", "self", &format!("/CN={root}"), &limited, "");
            self.cert(&first, "p256-5", &root, &format!("/CN={first}"), CA, "");
            self.cert(&second, "p256-6", &first, &format!("/CN={second}"), CA, "");
            self.cert(&own, "p256-7", &root, &format!("/CN={root}"), CA, "");
            for issuer in [&root, &first, &second, &own] {
                self.cert(&format!("l-{issuer}"), "p256-l", issuer, HOST, SERVER, "");
            }
            self.case(&format!("l-{root}"), &root);
            self.case(&format!("l-{first} {first}"), &root);
            self.case(&format!("l-{second} {second} {first}"), &root);
            self.case(&format!("l-{own} {own}"), &root);
            self.case(&first, &root);
        }
    }

    /// One bit of the signature changed.
    fn damage(&mut self) {
        self.workshop.damage("leaf", "leaf-damaged");
        self.workshop.damage("inter", "inter-damaged");
        self.workshop.damage("root", "root-damaged");
        self.case("leaf-damaged", "root");
        self.case("l-inter inter-damaged", "root");
        self.case("l-inter", "inter-damaged root");
        self.case("leaf", "root-damaged");
        self.case("root-damaged", "root-damaged");
        self.case("root-damaged", "root");
    }
}
