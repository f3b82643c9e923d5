//! A person at a terminal.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use super::*;

/// A terminal with `fieldtape setup` in it.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How much of it has been read.
    read_to: usize,
}

impl Terminal {
    /// `script` makes a terminal, and ends as the program in it does.
    fn open(office: &Box, args: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_fieldtape");
        let config = office.file("config.toml");
        let line = format!("stty cols 200; exec {program} -c {} setup {args}", config.display());
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
        command.env_clear().env("TERM", "xterm").env("SHELL", "/bin/sh");
        command.env("PATH", "/usr/bin:/bin").current_dir(office.dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let showing = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(count @ 1..) = screen.read(&mut piece) {
                showing.lock().unwrap().extend_from_slice(&piece[..count]);
            }
        });
        Self { child, keys, shown, read_to: 0 }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits for a question that has not been answered yet, and answers it.
    async fn answer(&mut self, question: &str, keys: &str) {
        let from = self.read_to;
        self.read_to = eventually(&format!("{question:?} is asked: {}", self.text()), async || {
            let shown = self.shown.lock().unwrap();
            let new = &shown[from..];
            let at = new.windows(question.len()).position(|text| text == question.as_bytes())?;
            Some(from + at + question.len())
        })
        .await;
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    async fn ended(&mut self) -> ExitStatus {
        eventually("it ends", async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- what was shown:\n{}", self.text());
        }
    }
}

const ENTER: &str = "\r";
const DOWN: &str = "\x1b[B";
const CTRL_C: &str = "\x03";

async fn up_to_the_last_question(terminal: &mut Terminal) {
    terminal.answer("Account SID", &format!("AC1{ENTER}")).await;
    terminal.answer("AC and 32 hex digits", &format!("\x7f\x7f\x7f{ACCOUNT}{ENTER}")).await;
    terminal.answer("Auth token", &format!("a-wrong-token{ENTER}")).await;
    terminal.answer("does not accept", "").await;
    terminal.answer("Auth token", &format!("{TOKEN}{ENTER}")).await;
    terminal.answer("The office's number", &format!("{DOWN}{DOWN}{DOWN}{ENTER}")).await;
    terminal.answer("Public address", &format!("{PUBLIC}{ENTER}")).await;
    terminal.answer("Who answers at that address?", ENTER).await;
    terminal.answer("The telephone that rings", &format!("+15550142{ENTER}")).await;
    terminal.answer("What callers are told", ENTER).await;
    terminal.answer("TwiML Bin", ENTER).await;
}

#[tokio::test]
async fn a_person_answers_and_sees_what_will_be_changed_first() {
    let office = Box::new().await;
    let mut terminal = Terminal::open(&office, "--plain-token");
    up_to_the_last_question(&mut terminal).await;
    let state = office.state();
    terminal.answer("Do it?", "y").await;
    terminal.answer("Ring a telephone", ENTER).await;
    assert_eq!(terminal.ended().await.code(), Some(0), "{}", terminal.text());
    let shown = terminal.text();
    assert!(!shown.contains(TOKEN) && !shown.contains("a-wrong-token"), "{shown}");
    assert!(shown.contains("+announcement = \"This call is recorded.\""), "{shown}");
    assert!(shown.contains("a call comes in      → https://127.0.0.1:9/twilio/voice"), "{shown}");
    assert_ne!(office.state(), state);
    assert_eq!(office.number().setting("VoiceUrl"), Some("https://127.0.0.1:9/twilio/voice"));
    assert_eq!(std::fs::read_to_string(office.file("twilio-auth-token")).unwrap(), TOKEN);
}

#[tokio::test]
async fn called_off_at_the_last_question_everything_is_as_it_was() {
    let office = Box::new().await;
    let state = office.state();
    let files = || std::fs::read_dir(office.dir.path()).unwrap().count();
    let before = files();
    for (last, code) in [(CTRL_C, Some(130)), ("n", Some(0))] {
        let mut terminal = Terminal::open(&office, "--plain-token");
        up_to_the_last_question(&mut terminal).await;
        terminal.answer("Do it?", last).await;
        assert_eq!(terminal.ended().await.code(), code, "{}", terminal.text());
        assert_eq!(office.state(), state);
        assert_eq!(files(), before, "nothing is left behind");
    }
}
