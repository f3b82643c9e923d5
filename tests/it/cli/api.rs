//! `fieldtape simulate --api`: Twilio's API beside the call.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

#[cfg(feature = "whisper")]
use fieldtape::{
    clock::SystemClock,
    simulate::cloud::{Cloud, CloudOptions},
    twilio::{door::PublicUrl, signature::AuthToken},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{ACCOUNT, Home, TOKEN, eventually, fieldtape, fresh_call_sid, root};
#[cfg(feature = "whisper")]
use crate::{kept::telephone, support::PUBLIC_URL};

/// The command, killed when this is dropped, and what it has printed.
struct Simulate {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Simulate {
    fn start(home: &Home, args: &[&str]) -> Self {
        let mut command = fieldtape(home.path());
        command.arg("-c").arg(home.config_file()).arg("simulate").args(args);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, told) = (child.stdout.take().unwrap(), Arc::clone(&lines));
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                told.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    async fn await_line(&self, words: &str) -> String {
        eventually(words, async || {
            self.lines.lock().unwrap().iter().find(|line| line.contains(words)).cloned()
        })
        .await
    }
}

impl Drop for Simulate {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_call_can_be_found_and_fetched_once_the_outage_behind_it_is_over() {
    let home = Home::new();
    let appliance = home.start().await;
    let sid = fresh_call_sid();
    let wav = root().join("tests/assets/librivox-0880.wav");
    let to = format!("http://{}", appliance.door());
    let args = [wav.to_str().unwrap(), "--to", &to, "--call-sid", sid.as_str(), "--speed", "8"];
    let more = ["--api", "127.0.0.1:0", "--offline", "2s"];
    let mut simulate = Simulate::start(&home, &[&args[..], &more].concat());
    let line = simulate.await_line("twilio.api_url").await;
    let url = line.split('"').nth(1).unwrap().to_owned();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str| {
        let url = format!("{url}/2010-04-01/Accounts/{ACCOUNT}{path}");
        http.get(url).basic_auth(ACCOUNT, Some(TOKEN)).send().await
    };
    simulate.await_line("cannot be reached").await;
    assert!(get("/Calls.json").await.is_err());
    simulate.await_line("can be reached again").await;
    let call: Value = get(&format!("/Calls/{sid}.json")).await.unwrap().json().await.unwrap();
    assert_eq!(call["status"], "completed");
    let list = get(&format!("/Recordings.json?CallSid={sid}")).await.unwrap();
    let list: Value = list.json().await.unwrap();
    let recording = list["recordings"][0]["sid"].as_str().unwrap();
    let sound = get(&format!("/Recordings/{recording}.wav")).await.unwrap();
    let sound = sound.bytes().await.unwrap();
    assert_eq!((&sound[..4], sound[22]), (&b"RIFF"[..], 2));
    simulate.await_line(&format!("API: GET Recordings/{recording}.wav: 200")).await;

    appliance.await_recorded(&sid).await;
    kill_process(Pid::from_child(&simulate.child), Signal::INT).unwrap();
    let ended = eventually("Ctrl-C ends it", async || simulate.child.try_wait().unwrap()).await;
    assert_eq!(ended.code(), Some(0));
    appliance.stop().await;
}

/// A Twilio of our account.
#[cfg(feature = "whisper")]
async fn played_api() -> Cloud {
    let options = CloudOptions {
        account_sid: ACCOUNT.parse().unwrap(),
        auth_token: AuthToken::new(TOKEN).unwrap(),
        api_key: None,
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        clock: Arc::new(SystemClock),
        seed: 1,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    Cloud::serve(listener, options).unwrap()
}

#[cfg(feature = "whisper")]
#[tokio::test]
async fn a_call_is_followed_to_its_transcript_while_twilio_cannot_be_reached() {
    let cloud = played_api().await;
    let home = Home::with_speech().with("twilio.api_url", cloud.url());
    let appliance = home.start().await;
    eventually("the link is up", async || (!cloud.requests().is_empty()).then_some(())).await;
    cloud.faults(|faults| faults.offline_at_call_end = true);
    let report = appliance.play(telephone("librivox-0880.wav"), |options| {
        options.speed = 8.0;
        options.cloud = Some(cloud.clone());
    });
    let sid = report.await.call_sid;
    eventually("the outage is noticed", async || {
        let call = appliance.api(&format!("/calls/{sid}")).await;
        let error = call["last_error"].as_str().unwrap_or_default();
        error.contains("cannot be reached").then_some(())
    })
    .await;
    let followed = home.run(&["calls", "follow", sid.as_str()]).await;
    assert_eq!(followed.code, Some(0), "{followed:?}");
    assert!(followed.out.contains("technician:"), "{followed:?}");
}
