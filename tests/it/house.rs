//! The stair of `src/ARCHITECTURE.md`, held: a room names only rooms on lower steps, and each
//! outside crate stays at home.

use std::path::{Path, PathBuf};

/// Rooms by step, ground floor first. Rooms on one step are strangers.
const STAIR: &[&[&str]] = &[
    &["domain"],
    &["clock", "telemetry", "audio", "contacts", "twilio"],
    &["vault", "models", "microphone"],
    &["store"],
    &["pipeline"],
    &[
        "calling",
        "capture",
        "transcribe",
        "summarize",
        "cloud",
        "archive",
        "retention",
        "simulate",
        "care",
        "health",
        "access",
    ],
    &["web"],
    &["config"],
    &["daemon"],
    &["cli"],
];

/// Outside crates with a home: nobody else may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("rusqlite_migration", &["store"]),
    ("axum", &["web", "simulate"]),
    ("hyper", &["web"]),
    ("rcgen", &["web"]),
    ("tokio_rustls", &["web", "simulate"]),
    ("x509_parser", &["web", "twilio"]),
    ("tokio_tungstenite", &["web", "simulate"]),
    ("reqwest", &["twilio", "models", "archive", "summarize", "simulate", "cli"]),
    ("object_store", &["archive"]),
    ("hound", &["audio"]),
    ("rubato", &["audio"]),
    ("realfft", &["cloud"]),
    ("cpal", &["microphone"]),
    ("rtrb", &["microphone"]),
    ("whisper_rs", &["transcribe"]),
    ("quick_xml", &["twilio"]),
    ("systemd_journal_logger", &["telemetry"]),
    ("listenfd", &["daemon"]),
    ("sd_notify", &["daemon"]),
    ("clap", &["cli"]),
    ("dialoguer", &["cli"]),
    ("similar", &["cli"]),
    ("anyhow", &["daemon", "cli"]),
    ("toml", &["config"]),
    ("toml_edit", &["config"]),
    ("indicatif", &["cli"]),
    ("tar", &["care"]),
    ("flate2", &["care"]),
    ("rpassword", &["cli"]),
    ("argon2", &["access"]),
    ("governor", &["access"]),
    ("cookie", &["web"]),
    ("phonenumber", &["contacts"]),
    ("csv", &["contacts"]),
];

fn step(room: &str) -> Option<usize> {
    STAIR.iter().position(|rooms| rooms.contains(&room))
}

/// The room that a file under `src/` belongs to.
fn room_of(file: &Path) -> String {
    file.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "")
}

/// What is wrong in one file's text.
fn faults(file: &Path, text: &str) -> Vec<String> {
    let room = room_of(file);
    let own = step(&room);
    let is_test = file.to_string_lossy().contains("tests");
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let mut fault = |what: String| {
            faults.push(format!("{}:{}: {what}", file.display(), number + 1));
        };
        for target in names_after(code, "crate::") {
            let Some(theirs) = step(&target) else {
                fault(format!("names crate::{target}, which is no room"));
                continue;
            };
            if target != room && own.is_none_or(|own| theirs >= own) {
                fault(format!("room {room} may not name room {target}"));
            }
        }
        for (outside, homes) in HOMES {
            let named = code.contains(&format!("{outside}::"));
            if named
                && !is_test
                && !homes.contains(&room.as_str())
                && !code.contains(&format!("::{outside}::"))
            {
                fault(format!("{outside} is at home in {homes:?}, not in {room}"));
            }
        }
    }
    // From a room's own mod.rs one `super::` leads out of the room, from a file in it two do.
    let depth = file.components().count() - usize::from(file.ends_with("mod.rs"));
    let way_out = "super::".repeat(depth);
    let outer = text.split("\nmod tests {").next().unwrap_or_default();
    if depth > 0 && !is_test && outer.contains(&way_out) {
        faults.push(format!("{}: {way_out} leads out of the room", file.display()));
    }
    faults
}

/// Every identifier that follows `prefix`, grouped imports included.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    code.match_indices(prefix)
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            let list = rest.strip_prefix('{').map_or(rest, |inner| inner);
            let list =
                if rest.starts_with('{') { list } else { list.split([',', ';']).next().unwrap() };
            list.split(',')
                .filter_map(|item| {
                    item.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next()
                })
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_room_names_only_rooms_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut found = Vec::new();
    for file in &files {
        let short = file.strip_prefix(&src).unwrap();
        if ["lib.rs", "main.rs"].contains(&short.to_str().unwrap()) {
            continue;
        }
        assert!(step(&room_of(short)).is_some(), "{} is in no room of the stair", short.display());
        found.extend(faults(short, &std::fs::read_to_string(file).unwrap()));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(files.len() > 50, "the house was looked at");
}

#[test]
fn a_wrong_import_is_found() {
    let in_file = |file: &str, text: &str| faults(Path::new(file), text).len();
    assert_eq!(in_file("vault/open.rs", "use crate::domain::CallSid;"), 0);
    assert_eq!(in_file("vault/open.rs", "use crate::store::Store;"), 1, "a higher step");
    assert_eq!(
        in_file("audio/wav.rs", "use crate::twilio::media;"),
        1,
        "a stranger on the same step"
    );
    assert_eq!(in_file("store/mod.rs", "use crate::{domain, web};"), 1, "in a group");
    assert_eq!(in_file("store/mod.rs", "fn f() { crate::cli::main(); }"), 1, "in passing");
    assert_eq!(in_file("web/lan/api.rs", "use rusqlite::params;"), 1, "a crate away from home");
    assert_eq!(in_file("capture/call.rs", "use super::super::web::door;"), 1, "by the back door");
}

#[test]
fn the_architecture_page_shows_the_same_stair() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("src/ARCHITECTURE.md")).unwrap();
    for (step, rooms) in STAIR.iter().enumerate() {
        for room in *rooms {
            let row = page.lines().find(|line| line.starts_with(&format!("| {step} | `{room}`")));
            assert!(row.is_some(), "no row for step {step}, room {room}");
        }
    }
}
