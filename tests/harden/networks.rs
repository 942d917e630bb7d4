//! `samehost` and `samenet`: on the server's own machine it is known whom they are about, elsewhere it is not. The witness is
//! psql, which comes in by such a line or does not.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use crate::live::{Live, wait_until};
use crate::support::{Account, Job, Leaf, Postgres, Running, TestServer, skip};

fn server(postgres: &Postgres, hba: &str) -> crate::support::Builder {
    TestServer::builder(postgres)
        .tls(&Leaf::self_signed(&["localhost"]))
        .conf("password_encryption = 'scram-sha-256'")
        .hba(hba)
        .sql("create role app login password 'pw'")
}

/// A session of `app` from there, with TLS, that stays; `None`: it does not come in.
fn session(live: &Live, host: &str, before: &[String]) -> Option<Running> {
    let conninfo = format!(
        "host={host} port={} user=app password=pw dbname=postgres sslmode=require application_name=shop",
        live.server.port
    );
    let mut command: Vec<String> = before.to_vec();
    command.extend(["psql", "-X", "-c", "select pg_sleep(100)", &conninfo].map(str::to_owned));
    let mut running = Job::new(&command[0]).args(&command[1..]).start();
    let mut came = false;
    let ended = wait_until(Duration::from_secs(60), || {
        let known = "select count(*) from pg_stat_activity where application_name = 'shop'";
        came = live.server.sql(known).stdout.trim() == "1";
        came || !running.is_running()
    });
    assert!(ended);
    came.then_some(running)
}

fn gone(live: &Live, running: Running) {
    live.server
        .sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'shop'");
    running.finish();
}

/// Whom a stage would refuse, and of whom it cannot be told.
fn impact(live: &Live, stage: &str) -> (Value, Value) {
    let report = live.stage(stage, &[]).json();
    (
        report["impact"]["refused"].clone(),
        report["impact"]["unsure"].clone(),
    )
}

/// An address of this machine that is not of its loopback.
fn own_address() -> Option<IpAddr> {
    // Nothing is sent: the system only picks the address that it would send from.
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[test]
fn whom_they_are_about_is_known_on_the_servers_own_machine() {
    let mut hosts = vec!["127.0.0.1".to_owned()];
    hosts.extend(own_address().map(|ip| ip.to_string()));
    for (major, host) in [13, 18]
        .into_iter()
        .flat_map(|major| hosts.iter().map(move |host| (major, host)))
    {
        let Some(postgres) = Postgres::find(major) else {
            return;
        };
        for word in ["samehost", "samenet"] {
            let what = format!("{major} {word} {host}");
            let lines = format!("hostssl all app {word} scram-sha-256");
            let live = Live::new(
                server(&postgres, &lines)
                    .argument("-c")
                    .argument("listen_addresses=*")
                    .start(),
            );
            let running = session(&live, host, &[]).expect("psql comes in by that line");
            let before = live.files();
            let (refused, unsure) = impact(&live, "mtls");
            assert_eq!(unsure, Value::Array(Vec::new()), "{what}");
            assert_eq!(refused[0]["address"], host.as_str(), "{what}: {refused:#}");
            assert!(
                refused[0]["line"].to_string().contains(word),
                "{what}: {refused:#}"
            );
            assert!(live.files() == before, "{what}");

            // The line takes it away, and the one below does not give it back.
            live.server.set_hba(&format!(
                "hostssl all app {word} reject\nhost all all all scram-sha-256"
            ));
            gone(&live, running);
            let closed = wait_until(Duration::from_secs(60), || session(&live, host, &[]).is_none());
            assert!(closed, "{what}");
        }
    }
}

/// A server in a network of its own, as a container has it: this machine's interfaces are not its own.
#[test]
fn elsewhere_it_cannot_be_told() {
    if !Account::is_root() {
        return skip("only root makes networks", false);
    }
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let lines = "hostssl all app samenet scram-sha-256";
    let live = Live::new(server(&postgres, lines).in_a_network_of_its_own().start());
    let inside = ["nsenter", "-n", "-t"].map(str::to_owned);
    let inside = [&inside[..], &[live.server.pid().to_string()]].concat();
    let running = session(&live, "127.0.0.1", &inside).expect("psql comes in there");
    let overview = live
        .pgtls(&["harden", &live.server.socket()])
        .run()
        .expect_status(0)
        .json();
    assert_eq!(overview["stages"][1]["stage"], "require");
    let (_, unsure) = impact(&live, "require");
    assert!(unsure[0]["why"].to_string().contains("samenet"), "{unsure:#}");
    gone(&live, running);
}
