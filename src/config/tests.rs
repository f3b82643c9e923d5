use std::collections::BTreeMap;

use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Problems> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&Sources { file: Some(file), environment: &environment })
}

fn lines(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    load(text, environment).unwrap_err().list().iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_file_starts_with_the_contracts_defaults() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.server.lan_listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.twilio_listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.server.max_calls, 16);
    assert_eq!(config.recording.rates, [RateHz::Hz8000, RateHz::Hz16000]);
    assert_eq!(config.recording.sync_every, Duration::from_secs(1));
    assert_eq!(config.recording.min_free_bytes, 1 << 30);
    assert_eq!(config.transcription.model, "tiny.en-q8_0");
    assert!(config.twilio.auth_token.is_none() && config.twilio.validate_signatures);
    assert!(config.warnings.is_empty());
}

#[test]
fn three_mistakes_are_three_lines_each_with_its_key() {
    let text = "[server]\nlan_lisen = \"127.0.0.1:1\"\nmax_calls = \"many\"\n\
                [recording]\nsync_every = \"1 fortnight and a bit\"\n";
    let lines = lines(text, &[]);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].contains("did you mean \"lan_listen\"?"), "{lines:#?}");
    assert!(lines[1].starts_with("server.max_calls: "), "{lines:#?}");
    assert!(lines[2].starts_with("recording.sync_every: "), "{lines:#?}");
}

#[test]
fn a_section_that_is_none_names_the_nearest() {
    let lines = lines("[servr]\nmax_calls = 3\n", &[]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("did you mean \"server\"?"), "{lines:#?}");
}

#[test]
fn the_environment_overrides_the_file_whatever_the_type() {
    let environment = [
        ("FIELDTAPE_SERVER__MAX_CALLS", "3"),
        ("FIELDTAPE_SERVER__DATA_DIR", "/srv/tape"),
        ("FIELDTAPE_TWILIO__VALIDATE_SIGNATURES", "false"),
        ("FIELDTAPE_TRANSCRIPTION__VOCABULARY", "[\"River Road\"]"),
        ("FIELDTAPE_LOG", "debug"),
    ];
    let config = load("[server]\nmax_calls = 5\n", &environment).unwrap();
    assert_eq!(config.server.max_calls, 3);
    assert_eq!(config.server.data_dir, PathBuf::from("/srv/tape"));
    assert!(!config.twilio.validate_signatures);
    assert_eq!(config.transcription.vocabulary, ["River Road"]);
    let lines = lines("", &[("FIELDTAPE_SERVER__MAX_CALS", "3")]);
    assert!(lines[0].contains("max_calls"), "{lines:#?}");
}

#[test]
fn a_secret_comes_from_the_key_a_file_or_systemd_and_never_prints() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fieldtape.twilio-auth-token"), "from-systemd\n").unwrap();
    let credentials = folder.path().to_str().unwrap();
    let from_systemd = load("", &[("CREDENTIALS_DIRECTORY", credentials)]).unwrap();
    assert!(from_systemd.twilio.auth_token.is_some());
    assert!(!format!("{from_systemd:?}").contains("from-systemd"));
    let file = folder.path().join("fieldtape.twilio-auth-token");
    let text = format!("[twilio]\nauth_token_file = {file:?}\n");
    assert!(load(&text, &[]).unwrap().twilio.auth_token.is_some());
    let both = format!("[twilio]\nauth_token = \"x\"\nauth_token_file = {file:?}\n");
    assert!(lines(&both, &[])[0].contains("keep one of them"));
    assert!(lines("[twilio]\nauth_token_file = \"/nowhere\"\n", &[])[0].contains("/nowhere"));
}

#[test]
fn a_setting_without_effect_is_told_and_does_not_stop_the_start() {
    let config = load("[recording]\nagent_source = \"browser\"\n", &[]).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].to_string().starts_with("recording.agent_source: has no effect"));
}

#[test]
fn a_microphone_is_named_by_what_lasts_and_used_when_it_is_asked_for() {
    let text = "[microphone]\ndevice = \"usb:046d:0a44:A1\"\ngain_db = 3.5\n";
    let config = load(text, &[]).unwrap();
    assert_eq!(config.recording.agent_source, AgentSource::Twilio);
    let told: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("microphone.device: has no effect while"), "{told:?}");
    assert!(told[1].starts_with("microphone.gain_db: has no effect while"), "{told:?}");
    let config = load(&format!("{text}[recording]\nagent_source = \"microphone\"\n"), &[]).unwrap();
    assert_eq!(config.recording.agent_source, AgentSource::Microphone);
    assert_eq!(config.microphone.device.to_string(), "usb:046d:0a44:A1");
    assert!((config.microphone.gain_db - 3.5).abs() < 1e-6 && config.warnings.is_empty());
    for (bad, what) in [
        ("device = \"hw:1\"", "microphone.device: \"hw:1\" is a card's number"),
        ("device = \"\"", "microphone.device: is empty"),
        ("gain_db = 41", "microphone.gain_db: 41 is not within"),
        ("gain_db = nan", "microphone.gain_db: NaN is not within"),
    ] {
        let lines = lines(&format!("[microphone]\n{bad}\n"), &[]);
        assert!(lines.len() == 1 && lines[0].starts_with(what), "{bad}: {lines:#?}");
    }
}

#[test]
fn the_outside_is_spoken_to_by_the_key_or_the_account_and_only_as_it_should_be() {
    let account = format!("[twilio]\naccount_sid = \"AC{}\"\n", "0".repeat(32));
    assert!(load(&account, &[]).unwrap().twilio.api.is_none(), "no secret yet");
    let with = |more: &str| format!("{account}auth_token = \"x\"\n{more}");
    assert!(load(&with(""), &[]).unwrap().twilio.api.is_some());
    assert!(lines(&with("api_key_sid = \"SK1\"\n"), &[])[0].contains("twilio.api_key_secret"));
    assert!(lines(&with("api_url = \"http://api.twilio.com\"\n"), &[])[0].contains("https://"));
    assert!(lines(&with("reconcile_every = \"1s\"\n"), &[])[0].contains("10s or more"));
    assert!(lines(&with("bandwidth_limit = \"0\"\n"), &[])[0].contains("nothing would ever pass"));
    let kept = load(&with("delete_after = \"48h\"\n"), &[]).unwrap().twilio.deletion;
    assert_eq!(kept, None, "deletion is asked for by twilio.delete alone");
    let archive = |more: &str| format!("[archive]\nurl = \"s3://office/p\"\n{more}");
    assert!(
        lines(&archive(""), &[])[0].contains("access_key_id"),
        "{:?}",
        lines(&archive(""), &[])
    );
    let keys = "access_key_id = \"a\"\nsecret_access_key = \"s\"\n";
    assert!(load(&archive(keys), &[]).unwrap().archive.is_some());
    let plain = format!("{}endpoint = \"http://s3.example.org\"\n", archive(keys));
    assert!(lines(&plain, &[])[0].contains("archive.endpoint"));
}

#[test]
fn a_file_that_is_no_toml_or_not_there_is_told_by_its_name() {
    assert!(lines("[server\n", &[])[0].contains("config.toml"));
    let missing = Sources { file: Some("/nowhere.toml".into()), environment: &BTreeMap::new() };
    assert!(Config::load(&missing).unwrap_err().to_string().contains("/nowhere.toml"));
}

#[test]
fn a_model_of_english_only_refuses_another_language() {
    let lines = lines("[transcription]\nlanguage = \"de\"\nlive_model = \"base.en\"\n", &[]);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with("transcription.model: \"tiny.en-q8_0\" knows only English"));
    assert!(lines[1].starts_with("transcription.live_model: \"base.en\""), "{lines:#?}");
    let text = "[transcription]\nlanguage = \"German\"\nmodel = \"base-q5_1\"\n";
    assert_eq!(load(text, &[]).unwrap().transcription.language.unwrap().code(), "de");
    for language in ["en", "auto", ""] {
        let text = format!("[transcription]\nlanguage = {language:?}\n");
        assert!(load(&text, &[]).is_ok(), "{language}");
    }
}

#[test]
fn a_language_or_mirror_that_is_none_is_told() {
    let text = "[transcription]\nlanguage = \"germn\"\nmirror = \"models.example\"\n";
    let lines = lines(text, &[]);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with("transcription.mirror: "), "{lines:#?}");
    assert!(lines[1].contains("did you mean \"de\""), "{lines:#?}");
}

#[test]
fn a_server_for_summaries_is_named_whole_and_stays_in_the_house_or_is_encrypted() {
    assert!(load("[summary]\nengine = \"extractive\"\n", &[]).unwrap().summary.is_none());
    let server = |more: &str| format!("[summary]\nengine = \"openai\"\n{more}");
    let told = lines(&server(""), &[]);
    assert!(
        told[0].starts_with("summary.url: ") && told[1].starts_with("summary.model: "),
        "{told:#?}"
    );
    let whole = server("url = \"http://192.168.1.20:8000/v1\"\nmodel = \"small\"\n");
    let key = [("FIELDTAPE_SUMMARY__API_KEY", "the-key")];
    let config = load(&whole, &key).unwrap();
    let summary = config.summary.unwrap();
    assert_eq!((summary.model.as_str(), summary.key.is_some()), ("small", true));
    assert!(!format!("{summary:?}").contains("the-key"));
    let abroad = server("url = \"http://api.example.org/v1\"\nmodel = \"small\"\n");
    assert!(lines(&abroad, &[])[0].contains("https://"));
    let idle = load("[summary]\nurl = \"http://127.0.0.1:1\"\n", &[]).unwrap();
    assert_eq!(idle.warnings[0].key, "summary.url");
    assert!(lines("[summary]\nengine = \"magic\"\n", &[])[0].starts_with("summary.engine: "));
}

#[test]
fn certificates_are_files_and_only_the_page_may_sign_its_own() {
    let both =
        "[server]\nlan_tls = \"self-signed\"\ntwilio_tls = { cert = \"/c\", key = \"/k\" }\n";
    let server = load(both, &[]).unwrap().server;
    let files = CertificateFiles { certificate: "/c".into(), key: "/k".into() };
    assert_eq!((server.lan_tls, server.twilio_tls), (Some(LanTls::SelfSigned), Some(files)));
    let problems = load(both, &[]).unwrap().check_files().unwrap_err();
    assert!(problems.to_string().contains("server.twilio_tls: /c: "), "{problems}");
    let environment = [("FIELDTAPE_SERVER__LAN_TLS", "{ cert = \"/c\", key = \"/k\" }")];
    assert!(matches!(load("", &environment).unwrap().server.lan_tls, Some(LanTls::Files(_))));
    for (text, word) in [
        ("twilio_tls = \"self-signed\"", "Twilio refuses"),
        ("twilio_tls = { cert = \"/c\" }", "server.twilio_tls.key: is missing"),
        ("lan_tls = { cert = \"/c\", key = \"/k\", kye = 1 }", "server.lan_tls.kye: there is no"),
        ("lan_tls = \"selfsigned\"", "write \"self-signed\""),
        ("lan_tls = true", "write \"self-signed\""),
    ] {
        let lines = lines(&format!("[server]\n{text}\n"), &[]);
        assert!(lines.len() == 1 && lines[0].contains(word), "{text}: {lines:#?}");
    }
}
