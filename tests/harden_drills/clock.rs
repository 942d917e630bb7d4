//! A wrong clock: the deadline of a try does not hang on it.

use std::time::{Duration, Instant};

use super::ground::Ground;
use super::support::{Job, scratch, skip};

/// Every clock of the day that a program asks for is off by `PGTLS_TEST_OFFSET` seconds.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long long offset(void) {
    const char *text = getenv("PGTLS_TEST_OFFSET");
    return text ? atoll(text) : 0;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += offset();
    return result;
}
int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void) zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"#;

const YEAR: i64 = 365 * 86_400;

#[test]
fn a_clock_that_is_wrong_by_years() {
    let dir = scratch("clock");
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Job::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .run();
    if !compiled.ok {
        return skip("no C compiler here", true);
    }
    let Some(mut ground) = Ground::new() else { return };
    for offset in [-15 * YEAR, 20 * YEAR] {
        let when = format!("{} years off", offset / YEAR);
        let wrong = |job: Job| {
            job.env("LD_PRELOAD", &library)
                .env("PGTLS_TEST_OFFSET", offset.to_string())
        };
        // It is off indeed.
        let year = wrong(Job::new("date").arg("+%s")).run().stdout;
        let off = year.trim().parse::<i64>().unwrap() - time::OffsetDateTime::now_utc().unix_timestamp();
        assert!(
            (off - offset).abs() < 3600,
            "{when}: the clock is not off but by {off}"
        );

        let begun = Instant::now();
        let outcome = wrong(ground.harden("on", &["--confirm-within", "2"])).run();
        ground.settles(&when);
        assert!(
            begun.elapsed() < Duration::from_secs(100),
            "{when}: the time was never over"
        );
        ground.is_as_it_was(&when);
        if outcome.status == Some(0) {
            // Once more. By a clock that is right the certificate is out of its dates: it is not kept, and goes back.
            wrong(ground.harden("on", &["--confirm-within", "600"]))
                .run()
                .expect_status(0);
            ground.server.sql("select 1");
            let kept = ground.pgtls(&["harden", "--confirm"]).run().expect_status(1);
            assert!(
                kept.stderr.contains("is not kept") && kept.stderr.contains("pgtls undo"),
                "{when}: {}",
                kept.stderr
            );
            ground.undo(&when);
            ground.restarts(&when);
        } else {
            assert!(
                matches!(outcome.status, Some(1..=4)),
                "{when}: {:?}",
                outcome.status
            );
        }
        // Certificates of that clock are no use to anybody.
        std::fs::remove_dir_all(&ground.kit).unwrap();
        std::fs::create_dir(&ground.kit).unwrap();
        ground.account.own(&ground.kit);
    }
}
