//! Behind the proxies that people really have: a whole call, signed for the public address, comes
//! through a real Caddy and a real nginx, encrypted up to there. They go by the examples that the
//! package brings.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Home, PUBLIC_URL, decoded, eventually, noise, read_wav, root};

/// A proxy in front of an appliance.
struct Proxy {
    child: Child,
    port: u16,
    /// Whom to believe that it is the public name.
    authority: PathBuf,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds a program that scripts/prepare unpacked, or that is installed; says what is missing
/// otherwise.
fn program(test: &str, path: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_fieldtape")).ancestors().nth(2).unwrap();
    let found = [target.join("proxies").join(path), Path::new("/").join(path)];
    let found = found.into_iter().find(|program| program.exists());
    if found.is_none() {
        // Straight to stderr: what a passing test prints is not shown.
        let lack = "it is not here; scripts/prepare test gets it";
        writeln!(std::io::stderr(), "skipped: proxies::{test}: {path}: {lack}").unwrap();
    }
    found
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn name() -> &'static str {
    PUBLIC_URL.strip_prefix("https://").unwrap()
}

/// The example as a person would adapt it.
fn example(file: &str, door: &str) -> String {
    let text = std::fs::read_to_string(root().join("packaging/examples").join(file)).unwrap();
    assert!(text.contains("calls.example.org") && text.contains("127.0.0.1:8081"), "{file}");
    text.replace("127.0.0.1:8081", door)
}

impl Proxy {
    async fn start(mut command: Command, port: u16, authority: PathBuf, log: &Path) -> Self {
        let out = std::fs::File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
        let mut child = command.spawn().unwrap();
        eventually("the proxy answers", async || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", std::fs::read_to_string(log).unwrap());
            }
            let is_open = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
            (is_open && authority.exists()).then_some(())
        })
        .await;
        Self { child, port, authority }
    }

    /// Caddy with certificates of an authority of its own.
    async fn caddy(program: &Path, dir: &Path, door: &str) -> Self {
        let port = free_port();
        let site =
            example("Caddyfile", door).replace("calls.example.org", &format!("{}:{port}", name()));
        let globals = format!(
            "{{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n\
             \tdefault_bind 127.0.0.1\n\tstorage file_system {}\n}}\n",
            dir.join("caddy").display()
        );
        let file = dir.join("Caddyfile");
        std::fs::write(&file, format!("{globals}{site}")).unwrap();
        let mut command = Command::new(program);
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
        command.env_clear().env("HOME", dir).current_dir(dir);
        let authority = dir.join("caddy/pki/authorities/local/root.crt");
        Self::start(command, port, authority, &dir.join("caddy.log")).await
    }

    /// nginx with a certificate like certbot's.
    async fn nginx(program: &Path, dir: &Path, door: &str) -> Self {
        let port = free_port();
        let made = rcgen::generate_simple_self_signed(vec![name().to_owned()]).unwrap();
        let (certificate, key) = (dir.join("fullchain.pem"), dir.join("privkey.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let live = "/etc/letsencrypt/live/calls.example.org";
        let site = example("nginx.conf", door)
            .replace(live, dir.to_str().unwrap())
            .replace("calls.example.org", name())
            .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"));
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", dir.join(kind).display()))
            .concat();
        let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
        let whole = format!(
            "{user}daemon off;\npid {};\nworker_processes 1;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}{site}}}\n",
            dir.join("nginx.pid").display()
        );
        let file = dir.join("nginx.conf");
        std::fs::write(&file, whole).unwrap();
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p"]).arg(dir).arg("-c").arg(&file).env_clear();
        Self::start(command, port, certificate, &dir.join("nginx.log")).await
    }
}

/// Plays a stereo WAV through the proxy by `fieldtape simulate`, and finds all of it recorded.
async fn a_whole_call_comes_through(home: &Home, proxy: &Proxy) {
    let wav = home.path().join("call.wav");
    let (agent, technician) = (noise(1, 3000), noise(2, 3000));
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&wav, spec).unwrap();
    for (left, right) in decoded(&agent).into_iter().zip(decoded(&technician)) {
        writer.write_sample(left).unwrap();
        writer.write_sample(right).unwrap();
    }
    writer.finalize().unwrap();
    let to = format!("https://127.0.0.1:{}", proxy.port);
    let authority = proxy.authority.to_str().unwrap();
    let wav = wav.to_str().unwrap();
    let played = home.run(&["simulate", wav, "--to", &to, "--ca", authority, "--json"]).await;
    let report = played.json();
    assert_eq!(report["troubles"], serde_json::json!([]), "{played:?}");
    let call_sid = report["call_sid"].as_str().unwrap().parse().unwrap();
    eventually("the call is recorded", async || {
        (home.ledger().call(&call_sid)?.recording_status == "completed").then_some(())
    })
    .await;
    let ledger = home.ledger();
    assert_eq!(ledger.gaps(&call_sid), []);
    let tracks = ledger.tracks(&call_sid);
    assert_eq!(tracks.len(), 4);
    for track in tracks.iter().filter(|track| track.rate_hz == 8000) {
        let sent = if track.party == "agent" { &agent } else { &technician };
        let heard = read_wav(&home.data_dir().join(&track.path), 8000);
        // The simulated wire wanders by some milliseconds, as Twilio's does.
        let length = heard.len().abs_diff(decoded(sent).len());
        assert!(length < 8000, "{} and {}", heard.len(), sent.len());
    }
    // Who does not know the authority does not get as far as fieldtape.
    let stranger = home.run(&["simulate", wav, "--to", &to, "--json"]).await;
    assert_eq!(stranger.code, Some(69), "{stranger:?}");
}

#[tokio::test]
async fn a_call_comes_through_caddy() {
    let Some(program) = program("a_call_comes_through_caddy", "usr/bin/caddy") else { return };
    let home = Home::new();
    let appliance = home.start().await;
    let proxy = Proxy::caddy(&program, home.path(), appliance.door()).await;
    a_whole_call_comes_through(&home, &proxy).await;
    drop(proxy);
    appliance.stop().await;
}

#[tokio::test]
async fn a_call_comes_through_nginx() {
    let Some(program) = program("a_call_comes_through_nginx", "usr/sbin/nginx") else { return };
    let home = Home::new();
    let appliance = home.start().await;
    let proxy = Proxy::nginx(&program, home.path(), appliance.door()).await;
    a_whole_call_comes_through(&home, &proxy).await;
    drop(proxy);
    appliance.stop().await;
}
