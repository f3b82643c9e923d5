use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const SHIPPED: &str = include_str!("../../packaging/config.toml");

fn draft(text: &str) -> Draft {
    Draft { file: PathBuf::from("/nowhere.toml"), before: text.to_owned(), text: text.to_owned() }
}

#[test]
fn comments_and_all_other_keys_stay_as_they_are() {
    let mut draft = draft(
        "# the office\n[server]\nmax_calls = 4 # few\n\n[transcription] # speech\n\
         model = \"tiny.en-q8_0\"  # the bundled one\nnice = 5\n",
    );
    draft.set("transcription.model", "base-q5_1").unwrap();
    draft.set("transcription.live_model", "tiny").unwrap();
    let expected = "# the office\n[server]\nmax_calls = 4 # few\n\n[transcription] # speech\n\
                    model = \"base-q5_1\"  # the bundled one\nnice = 5\nlive_model = \"tiny\"\n";
    assert_eq!(draft.texts().1, expected);
}

#[test]
fn a_section_that_is_missing_is_made_and_inline_ones_are_kept() {
    let set = |text: &str| {
        let mut draft = draft(text);
        draft.set("transcription.model", "base").map(|()| draft.text)
    };
    assert_eq!(set("").unwrap(), "[transcription]\nmodel = \"base\"\n");
    let inline = set("transcription = { nice = 5 }\n").unwrap();
    assert_eq!(inline, "transcription = { nice = 5 , model = \"base\" }\n");
    assert!(set("transcription = 7\n").is_err());
    assert!(set("[transcription\n").is_err());
}

#[test]
fn a_key_is_set_where_the_shipped_file_shows_it() {
    let mut draft = draft(SHIPPED);
    let files = CertificateFiles { certificate: "/c.pem".into(), key: "/k.pem".into() };
    draft.set("server.public_url", "https://calls.example.org").unwrap();
    draft.set("twilio.agent_number", "+15550142").unwrap();
    draft.set("consent.announcement", "\"Quoted\" and \\ odd").unwrap();
    draft.set_files("server.twilio_tls", &files).unwrap();
    let changed: Vec<(&str, &str)> =
        SHIPPED.lines().zip(draft.text.lines()).filter(|(old, new)| old != new).collect();
    assert_eq!(SHIPPED.lines().count(), draft.text.lines().count());
    let expected = [
        (
            "#public_url = \"https://calls.example.org\"",
            "public_url = \"https://calls.example.org\"",
        ),
        (
            "#twilio_tls = { cert = \"/etc/fieldtape/cert.pem\", key = \"/etc/fieldtape/key.pem\" }",
            "twilio_tls = { cert = \"/c.pem\", key = \"/k.pem\" }",
        ),
        ("#agent_number = \"+15550101\"", "agent_number = \"+15550142\""),
        ("#announcement = \"\"", "announcement = '\"Quoted\" and \\ odd'"),
    ];
    assert_eq!(changed, expected);
    let config = draft.check(&BTreeMap::<String, String>::new()).unwrap();
    assert_eq!(config.consent.announcement, "\"Quoted\" and \\ odd");
    assert_eq!(config.server.twilio_tls, Some(files));

    // Again, with another value and with the same.
    draft.set("twilio.agent_number", "+15550143").unwrap();
    let text = draft.text.clone();
    draft.set("twilio.agent_number", "+15550143").unwrap();
    assert_eq!(draft.text, text);
    assert_eq!(text.matches("agent_number").count(), SHIPPED.matches("agent_number").count());
}

#[test]
fn a_line_is_taken_out_and_the_comments_around_it_stay() {
    let mut set = draft(
        "[twilio]\n# The token.\nauth_token = \"secret\" # careful\n# More.\ncaller_id = \"1\"\n",
    );
    set.unset("twilio.auth_token").unwrap();
    set.unset("twilio.auth_token_file").unwrap();
    set.unset("archive.url").unwrap();
    assert_eq!(set.text, "[twilio]\n# The token.\n# More.\ncaller_id = \"1\"\n");
    let mut inline = draft("twilio = { auth_token = \"secret\", caller_id = \"1\" }\n");
    inline.unset("twilio.auth_token").unwrap();
    assert!(!inline.text.contains("secret") && inline.text.contains("caller_id"));
    let mut long = draft("[twilio]\nauth_token = \"\"\"se\ncret\"\"\"\ncaller_id = \"1\"\n");
    long.unset("twilio.auth_token").unwrap();
    assert!(!long.text.contains("cret") && long.text.contains("caller_id"));
}

#[test]
fn a_draft_is_checked_as_a_start_would_before_it_is_written() {
    let mut draft = draft("[server]\nmax_calls = \"many\"\n");
    draft.set("server.public_url", "http://h").unwrap();
    let problems = draft.check(&BTreeMap::<String, String>::new()).unwrap_err();
    assert_eq!(problems.list().len(), 2, "{problems}");
}

#[test]
fn the_file_keeps_its_rights_and_a_broken_one_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "[transcription]\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    set_models(&file, "base", Some("tiny")).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    std::fs::write(&file, "[[[").unwrap();
    assert!(matches!(set_models(&file, "base", None), Err(EditError::NotToml { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "[[[");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left behind");
}
