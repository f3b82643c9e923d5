//! `fieldtape setup`: by flags as a script runs it, and by a person at a terminal.

mod terminal;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use fieldtape::simulate::cloud::{Cloud, Endpoint, Number};
use tempfile::TempDir;

use crate::support::{ACCOUNT, Answer, Appliance, TOKEN, eventually, fieldtape, root, twilio_api};

const NUMBER: &str = "+15550199";

/// Nobody is there, which is found out at once.
const PUBLIC: &str = "https://127.0.0.1:9";

/// A box as the package leaves it, and its Twilio.
struct Box {
    dir: TempDir,
    cloud: Cloud,
}

impl Box {
    async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("fieldtape-setup-").tempdir().unwrap();
        let cloud = twilio_api().await;
        cloud.add_number(NUMBER, "the office");
        cloud.add_number("+15550188", "another");
        let shipped = std::fs::read_to_string(root().join("packaging/config.toml")).unwrap();
        let url = cloud.url();
        let config = shipped
            .replace("#api_url = \"https://api.twilio.com\"", &format!("api_url = {url:?}"))
            .replace("#lan_listen = \"127.0.0.1:8080\"", "lan_listen = \"127.0.0.1:0\"")
            .replace("#twilio_listen = \"127.0.0.1:8081\"", "twilio_listen = \"127.0.0.1:0\"")
            .replace(
                "#data_dir = \"/var/lib/fieldtape\"",
                &format!("data_dir = {:?}", dir.path().join("data")),
            );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        std::fs::write(dir.path().join("given"), format!("{TOKEN}\n")).unwrap();
        Self { dir, cloud }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.file("config.toml")).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = fieldtape(self.dir.path());
        command.arg("-c").arg(self.file("config.toml")).arg("setup").args(args);
        command
    }

    async fn run(&self, args: &[&str]) -> Answer {
        Answer::of(self.command(args)).await
    }

    fn number(&self) -> Number {
        self.cloud.numbers().into_iter().find(|number| number.phone_number == NUMBER).unwrap()
    }

    /// Everything that setup may change, here and there.
    fn state(&self) -> (String, bool, Vec<Number>, usize) {
        let changes = self.cloud.requests().iter().filter(|one| one.method != "GET").count();
        (self.config(), self.file("twilio-auth-token").exists(), self.cloud.numbers(), changes)
    }
}

/// The flags that answer every question but those about calls out.
const ALL: [&str; 14] = [
    "--yes",
    "--plain-token",
    "--account-sid",
    ACCOUNT,
    "--auth-token-file",
    "given",
    "--number",
    NUMBER,
    "--public-url",
    PUBLIC,
    "--agent-number",
    "+15550142",
    "--announcement",
    "This call is recorded.",
];

#[tokio::test]
async fn a_script_sets_everything_up_and_once_more_changes_nothing() {
    let office = Box::new().await;
    let before = office.config();
    let answer = office.run(&ALL).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(!format!("{answer:?}").contains(TOKEN), "{answer:?}");
    assert!(answer.out.contains("The account is \"Field office\" (active)."), "{answer:?}");
    assert!(answer.out.contains("Careful: https://127.0.0.1:9/twilio/voice"), "{answer:?}");
    assert!(answer.out.contains("\n+agent_number = \"+15550142\"\n"), "{answer:?}");

    let token = office.file("twilio-auth-token");
    assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&token).unwrap(), TOKEN);
    let after = office.config();
    let changed: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
    assert_eq!(
        changed,
        [
            format!("public_url = {PUBLIC:?}"),
            format!("account_sid = {ACCOUNT:?}"),
            format!("auth_token_file = {token:?}"),
            "agent_number = \"+15550142\"".to_owned(),
            "announcement = \"This call is recorded.\"".to_owned(),
        ]
    );
    assert_eq!(before.lines().count(), after.lines().count(), "in the places kept for them");
    let number = office.number();
    assert_eq!(number.setting("VoiceUrl"), Some("https://127.0.0.1:9/twilio/voice"));
    assert_eq!(number.setting("VoiceMethod"), Some("POST"));
    assert_eq!(
        number.setting("StatusCallback"),
        Some("https://127.0.0.1:9/twilio/status#rc=5&rp=all")
    );
    assert_eq!(number.setting("VoiceFallbackUrl"), None);

    let state = office.state();
    let again = office.run(&ALL).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.contains("The configuration stays as it is."), "{again:?}");
    assert!(again.out.contains("asks this box already"), "{again:?}");
    assert_eq!(office.state(), state);

    // The token that is kept serves for what is changed later.
    let fallback = "https://handler.twilio.com/twiml/EH1";
    let later = office
        .run(&["--yes", "--number", NUMBER, "--fallback-url", fallback, "--agent-identity", "desk"])
        .await;
    assert_eq!(later.code, Some(0), "{later:?}");
    assert_eq!(office.number().setting("VoiceFallbackUrl"), Some(fallback));
    assert!(office.config().contains("\nagent_identity = \"desk\"\n"));
    let headset = office.run(&["--yes", "--offline", "--microphone", "usb:046d:0a44"]).await;
    assert_eq!(headset.code, Some(0), "{headset:?}");
    for line in ["agent_source = \"microphone\"", "device = \"usb:046d:0a44\""] {
        assert!(office.config().contains(&format!("\n{line}\n")), "{line}");
    }
    let without = office.run(&["--yes", "--offline", "--microphone", ""]).await;
    assert_eq!(without.code, Some(0), "{without:?}");
    assert!(office.config().contains("\nagent_source = \"twilio\"\n"));

    let checked = Answer::of({
        let mut command = fieldtape(office.dir.path());
        command.arg("-c").arg(office.file("config.toml")).arg("check-config");
        command
    })
    .await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[tokio::test]
async fn what_is_wrong_is_told_and_then_nothing_has_been_changed() {
    let office = Box::new().await;
    std::fs::write(office.file("wrong"), "another-token").unwrap();
    std::fs::write(office.file("no.pem"), "no certificate").unwrap();
    let state = office.state();
    let with = |changes: &[(&'static str, &'static str)]| {
        let mut args = ALL.to_vec();
        for (flag, value) in changes {
            match args.iter().position(|known| known == flag) {
                Some(at) => args[at + 1] = value,
                None => args.extend([*flag, *value]),
            }
        }
        args
    };
    for (changes, code, word) in [
        (&[("--auth-token-file", "wrong")][..], 1, "does not accept the credentials"),
        (&[("--auth-token-file", "nowhere")][..], 64, "nowhere: No such file"),
        (&[("--number", "+15550177")][..], 64, "there are: +15550199, +15550188"),
        (&[("--public-url", "http://h")][..], 64, "must begin with https://"),
        (&[("--agent-number", "5550142")][..], 64, "write it like +15550100"),
        (&[("--microphone", "hw:1")][..], 64, "is a card's number"),
        (&[("--account-sid", "AC1")][..], 64, "AC and 32 hex digits"),
        (&[("--cert", "no.pem"), ("--key", "no.pem")][..], 64, "no.pem: has no certificate"),
        (&[("--fallback-url", "http://h")][..], 64, "https://handler.twilio.com"),
    ] {
        let answer = office.run(&with(changes)).await;
        assert_eq!(answer.code, Some(code), "{changes:?}: {answer:?}");
        assert!(answer.err.contains(word), "{changes:?}: {answer:?}");
        assert_eq!(office.state(), state, "{changes:?}");
    }
    office.cloud.offline().await;
    let answer = office.run(&ALL).await;
    assert!(answer.code == Some(1) && answer.err.contains("cannot be reached"), "{answer:?}");
    assert_eq!(office.state(), state);
    // Without a network everything on the box can be set up.
    let without: Vec<&str> = ALL.iter().copied().filter(|arg| !arg.contains(NUMBER)).collect();
    let mut without: Vec<&str> = without.into_iter().filter(|arg| *arg != "--number").collect();
    without.push("--offline");
    let answer = office.run(&without).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(office.file("twilio-auth-token").exists());
}

#[tokio::test]
async fn a_file_that_is_broken_already_is_left_alone() {
    let office = Box::new().await;
    std::fs::write(office.file("config.toml"), "[server]\nmax_calls = \"many\"\n").unwrap();
    let state = office.state();
    let answer = office.run(&ALL).await;
    assert!(answer.code == Some(64) && answer.err.contains("server.max_calls"), "{answer:?}");
    assert_eq!(office.state(), state);
}

#[tokio::test]
async fn without_a_terminal_and_without_yes_there_is_one_clear_message() {
    let office = Box::new().await;
    let state = office.state();
    let answer = office.run(&[]).await;
    assert_eq!((answer.code, answer.out.as_str()), (Some(64), ""));
    assert!(answer.err.contains("--yes") && answer.err.lines().count() == 1, "{answer:?}");
    assert_eq!(office.state(), state);
}

#[tokio::test]
async fn a_test_call_goes_through_twilio_and_is_watched() {
    let office = Box::new().await;
    assert_eq!(office.run(&ALL).await.code, Some(0));
    let ringing =
        async { office.run(&["--yes", "--number", NUMBER, "--test-call", "+15550100"]).await };
    let answering = async {
        let placed = eventually("a call is placed", async || {
            office.cloud.requests_for(Endpoint::PlaceCall).into_iter().next()
        })
        .await;
        let url = format!("{PUBLIC}/twilio/voice");
        for (name, value) in [("To", "+15550100"), ("From", NUMBER), ("Url", &url)] {
            assert_eq!(placed.field(name), Some(value));
        }
        let call = eventually("it is there", async || office.cloud.calls().pop()).await;
        office.cloud.change_call(&call.sid, |call| call.status = "no-answer".to_owned());
    };
    let (answer, ()) = tokio::join!(ringing, answering);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.out.contains("no-answer; fieldtape does not run here"), "{answer:?}");
}

#[tokio::test]
async fn the_fallback_announces_records_only_what_was_announced_and_connects() {
    let office = Box::new().await;
    let answer = office.run(&["--fallback-twiml"]).await;
    assert!(answer.code == Some(64) && answer.err.contains("twilio.agent_number"), "{answer:?}");
    assert_eq!(office.run(&ALL).await.code, Some(0));
    let verbs = |answer: &Answer| {
        assert_eq!(answer.code, Some(0), "{answer:?}");
        let document = roxmltree::Document::parse(answer.out.trim()).unwrap();
        let verbs = document.root_element().children();
        verbs.map(|verb| verb.tag_name().name().to_owned()).collect::<Vec<_>>()
    };
    let answer = office.run(&["--fallback-twiml"]).await;
    assert_eq!(verbs(&answer), ["Say", "Start", "Dial"]);
    assert!(answer.out.contains("<Recording channels=\"dual\""), "{answer:?}");
    assert!(answer.out.contains("<Number>+15550142</Number>"), "{answer:?}");
    assert!(!answer.out.contains("<Stream"), "nobody is here to hear it");
    let silent = office.run(&["--yes", "--announcement", ""]).await;
    assert_eq!(silent.code, Some(0), "{silent:?}");
    assert_eq!(verbs(&office.run(&["--fallback-twiml"]).await), ["Dial"]);
}

/// An appliance that goes by what setup wrote is the one that Twilio will talk to.
#[tokio::test]
async fn what_setup_wrote_takes_a_signed_call() {
    let office = Box::new().await;
    assert_eq!(office.run(&ALL).await.code, Some(0));
    let appliance = Appliance::of(office.file("config.toml"), office.file("data")).await;
    appliance.await_ready().await;
    let twilio = appliance.twilio();
    let form = crate::support::Form::voice(&crate::support::fresh_call_sid());
    let url = format!("{PUBLIC}/twilio/voice");
    let signature = fieldtape::twilio::signature::Validator::new(
        fieldtape::twilio::signature::AuthToken::new(TOKEN).unwrap(),
        None,
    )
    .sign(&url, form.fields());
    let answer = twilio.post_signed("/twilio/voice", &form, Some(&signature)).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("<Number>+15550142</Number>"));
    appliance.stop().await;
}
