//! The configuration as it is written: every key of every section, with its default.
//!
//! These types know nothing but TOML; `build.rs` beside this checks and types them.

use serde::{Deserialize, Serialize};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty = $default:expr),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize, Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name { $($(#[$fdoc])* pub(super) $field: $kind),+ }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }
    };
}

section!(
    /// The whole file.
    Raw {
        /// Where it listens and where it keeps things.
        server: Server = Server::default(),
        /// The account, and how calls are answered.
        twilio: Twilio = Twilio::default(),
        /// How sound is kept.
        recording: Recording = Recording::default(),
        /// How it is written down.
        transcription: Transcription = Transcription::default(),
        /// How it is summarised.
        summary: Summary = Summary::default(),
        /// Where it is archived.
        archive: Archive = Archive::default(),
        /// How long it is kept.
        retention: Retention = Retention::default(),
        /// What people are told before they are recorded.
        consent: Consent = Consent::default(),
        /// The box's own microphone.
        microphone: Microphone = Microphone::default(),
    }
);
section!(
    Server {
        data_dir: String = "/var/lib/fieldtape".to_owned(),
        lan_listen: String = "127.0.0.1:8080".to_owned(),
        twilio_listen: String = "127.0.0.1:8081".to_owned(),
        metrics_listen: Option<String> = None,
        public_url: Option<String> = None,
        lan_tls: Option<toml::Value> = None,
        twilio_tls: Option<toml::Value> = None,
        max_calls: i64 = 16,
        admin_socket: Option<String> = None,
    }
);
section!(
    Twilio {
        account_sid: Option<String> = None,
        auth_token: Option<String> = None,
        auth_token_file: Option<String> = None,
        api_key_sid: Option<String> = None,
        api_key_secret: Option<String> = None,
        api_key_secret_file: Option<String> = None,
        shared_key: Option<String> = None,
        shared_key_file: Option<String> = None,
        api_url: String = "https://api.twilio.com".to_owned(),
        validate_signatures: bool = true,
        caller_id: Option<String> = None,
        agent_identity: Option<String> = None,
        agent_number: Option<String> = None,
        twiml_app_sid: Option<String> = None,
        country: String = "US".to_owned(),
        cloud_recording: String = "twiml".to_owned(),
        reconcile_every: String = "15m".to_owned(),
        delete_after: String = "24h".to_owned(),
        delete: bool = false,
        bandwidth_limit: Option<String> = None,
        price_per_minute_recorded: Option<f64> = None,
        price_per_minute_stored: Option<f64> = None,
        price_currency: String = "USD".to_owned(),
    }
);
section!(
    Recording {
        rates_hz: Vec<i64> = vec![8000, 16000],
        sync_every: String = "1s".to_owned(),
        min_free: String = "1GiB".to_owned(),
        keep_16k: String = "always".to_owned(),
        agent_source: String = "twilio".to_owned(),
    }
);
section!(
    Transcription {
        model: String = "tiny.en-q8_0".to_owned(),
        mirror: Option<String> = None,
        live_model: Option<String> = None,
        language: String = "auto".to_owned(),
        threads: i64 = 0,
        live: bool = true,
        vocabulary: Vec<String> = Vec::new(),
        nice: i64 = 10,
    }
);
section!(
    Summary {
        engine: String = "extractive".to_owned(),
        url: Option<String> = None,
        model: Option<String> = None,
        api_key: Option<String> = None,
        api_key_file: Option<String> = None,
    }
);
section!(
    Archive {
        url: Option<String> = None,
        endpoint: Option<String> = None,
        region: Option<String> = None,
        access_key_id: Option<String> = None,
        access_key_id_file: Option<String> = None,
        secret_access_key: Option<String> = None,
        secret_access_key_file: Option<String> = None,
        bandwidth_limit: Option<String> = None,
    }
);
section!(
    Retention {
        audio_days: Option<i64> = None,
        audio_16k_days: Option<i64> = None,
        cloud_copy_days: Option<i64> = None,
        transcript_days: Option<i64> = None,
        max_bytes: Option<toml::Value> = None,
        only_copies: String = "keep".to_owned(),
    }
);
section!(
    Consent {
        announcement: String = String::new(),
        language: Option<String> = None,
        voice: Option<String> = None,
        sound: Option<String> = None,
        mode: String = "notice".to_owned(),
        decline_digit: String = "9".to_owned(),
    }
);
section!(Microphone { device: String = "default".to_owned(), gain_db: f64 = 0.0 });

/// Keys of the contract that this version reads and does nothing with, and what to do instead.
/// Setting one is told at start and by `check-config`: a setting without effect is never silent.
pub(super) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("server.metrics_listen", "health is served on lan_listen at /healthz and /readyz"),
    ("twilio.twiml_app_sid", "the page has no telephone"),
];
