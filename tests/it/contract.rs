//! What we send to Twilio's REST API is what Twilio's own description of it allows.
//!
//! Prism serves that description. It checks the shape of requests; it has no state and no sound.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fieldtape::domain::{AccountSid, CallSid, RecordingSid, UnixMillis};
use fieldtape::twilio::rest::{
    CallOrder, Client, Credentials, Deletion, NumberResource, NumberSettings, Origin, Timeouts,
};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::support::root;

/// Prism reads a file of 1.2 MB; a busy machine takes its time for that.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// Prism's one sentence about a request that is as described.
const PASSED: &str = "The request passed the validation rules";

/// Twilio's examples, which Prism answers with, are all of these.
fn sid(prefix: &str) -> String {
    format!("{prefix}{}", "a".repeat(32))
}

/// A running Prism.
struct Prism {
    url: String,
    log: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Prism {
    /// Starts it, or says what it lacks.
    async fn start() -> Result<Self, String> {
        let root = root();
        let description = root
            .ancestors()
            .map(|above| above.join("shared/assets/twilio/twilio_api_v2010.json"))
            .find(|path| path.exists())
            .ok_or("there is no twilio_api_v2010.json")?;
        // Beside the program under test lies what scripts/prepare installed.
        let target =
            Path::new(env!("CARGO_BIN_EXE_fieldtape")).ancestors().nth(2).unwrap().to_owned();
        let program = target.join("prism/node_modules/.bin/prism");
        if !program.exists() {
            return Err("Prism is not installed; scripts/prepare test does it with npm".to_owned());
        }
        let port = free_port();
        let mut process = Command::new(program)
            .args(["mock", "--host", "127.0.0.1", "--port", &port.to_string()])
            .arg(description)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut prism = Self { url: format!("http://127.0.0.1:{port}"), log, _process: process };
        prism.says("Prism is listening").await;
        Ok(prism)
    }

    /// Waits for a line of its log and returns all up to it.
    async fn says(&mut self, words: &str) -> String {
        let mut said = String::new();
        while !said.lines().last().is_some_and(|line| line.contains(words)) {
            let line = tokio::time::timeout(READY_WITHIN, self.log.next_line()).await;
            let Ok(Ok(Some(line))) = line else {
                panic!("Prism never said {words:?}: {said}");
            };
            said.push_str(&line);
            said.push('\n');
        }
        said
    }

    /// Waits until it has judged the next request, and demands that it was right.
    async fn approves(&mut self) {
        let said = self.says("validation rules").await;
        assert!(said.contains(PASSED), "{said}");
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn every_request_is_as_twilio_describes_it() {
    let mut prism = match Prism::start().await {
        Ok(prism) => prism,
        Err(lack) => {
            // Straight to stderr: what a passing test prints is not shown.
            let name = "contract::every_request_is_as_twilio_describes_it";
            writeln!(std::io::stderr(), "skipped: {name}: {lack}").unwrap();
            return;
        }
    };
    let account: AccountSid = sid("AC").parse().unwrap();
    let origin = Origin::parse(&prism.url).unwrap();
    let credentials = Credentials::new(origin, account.as_str(), "token").unwrap();
    let client = Client::new(credentials, account, Timeouts::default()).unwrap();
    let call: CallSid = sid("CA").parse().unwrap();
    let recording: RecordingSid = sid("RE").parse().unwrap();
    let since = UnixMillis::new(1_767_225_600_000);

    client.probe().await.unwrap();
    prism.approves().await;
    let calls = client.calls_since(since).next().await.unwrap().unwrap();
    assert!(!calls.is_empty());
    prism.approves().await;
    let recordings = client.recordings_since(since).next().await.unwrap().unwrap();
    assert!(recordings.iter().all(|found| found.call_sid.as_ref() == Some(&call)));
    prism.approves().await;
    assert_eq!(client.call(&call).await.unwrap().sid, call);
    prism.approves().await;
    assert_eq!(client.recordings_of(&call).await.unwrap().len(), 1);
    prism.approves().await;
    let told = client.recording(&recording).await.unwrap();
    assert_eq!(told.resource.status, "completed");
    assert!(told.date.is_some());
    prism.approves().await;
    let callback = "https://rec.example.test/twilio/recording-status#rc=5&rp=all";
    let started = client.start_recording(&call, callback).await.unwrap();
    assert_eq!((started.status.as_str(), started.channels), ("in-progress", Some(2)));
    prism.approves().await;
    assert_eq!(client.delete_recording(&recording).await, Ok(Deletion::Deleted));
    prism.approves().await;
    assert_eq!(client.delete_call(&call).await, Ok(Deletion::Deleted));
    prism.approves().await;

    client.account().await.unwrap();
    prism.approves().await;
    let numbers = client.numbers().await.unwrap();
    assert!(!numbers.is_empty());
    prism.approves().await;
    let settings = NumberSettings {
        voice_url: "https://rec.example.test/twilio/voice".to_owned(),
        status_callback: "https://rec.example.test/twilio/status".to_owned(),
        voice_fallback_url: Some("https://handler.twilio.com/twiml/EH1".to_owned()),
    };
    let number = NumberResource { voice_application_sid: None, ..numbers[0].clone() };
    client.set_number(&number, &settings).await.unwrap();
    prism.approves().await;
    let order = CallOrder {
        to: "+15550100".to_owned(),
        from: "+15550199".to_owned(),
        url: settings.voice_url.clone(),
        status_callback: settings.status_callback.clone(),
    };
    client.place_call(&order).await.unwrap();
    prism.approves().await;

    // It does look: the same request with one word wrong.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let list = format!("{}/2010-04-01/Accounts/{}/Calls.json?PageSize=1001", prism.url, sid("AC"));
    let refused = http.get(list).basic_auth(sid("AC"), Some("token")).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 422);
}
