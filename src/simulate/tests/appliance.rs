//! A stand-in for the appliance: real sockets, real signatures, and a memory of everything.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{any, post};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::twilio::door::{Arrival, Door, Knock, PublicUrl};
use crate::twilio::form::Form;
use crate::twilio::media::MediaMessage;
use crate::twilio::signature::{AuthToken, SignedBody, Validator};
use crate::twilio::twiml::{AnswerOn, Dial, Noun, Recording, Response, Stream, StreamTracks};

/// The public base has a path that the "tunnel" takes off.
pub(in super::super) const PUBLIC: &str = "https://rec.example.test/office-7";

/// How the appliance treats a call.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) enum Temper {
    #[default]
    Well,
    Degraded,
    RefusesUpgrade,
    ClosesStream,
    NoTwiml,
    /// Every callback's first attempts meet 503.
    Stumbles,
}

/// Something that reached the appliance.
#[derive(Debug, Clone)]
pub(in super::super) enum Seen {
    Webhook { path: String, form: Form },
    Upgrade { headers: HeaderMap },
    Message { message: MediaMessage, at: Instant },
    Closed { in_good_order: bool },
}

struct Inner {
    door: Door,
    temper: Temper,
    seen: Mutex<Vec<Seen>>,
}

pub(in super::super) struct Appliance {
    pub(in super::super) address: SocketAddr,
    inner: Arc<Inner>,
    _server: JoinSet<()>,
}

impl Appliance {
    pub(in super::super) async fn start(temper: Temper) -> Self {
        let validator = Validator::new(AuthToken::new("token").unwrap(), None);
        let door = Door::new(PublicUrl::parse(PUBLIC).unwrap(), validator);
        let inner = Arc::new(Inner { door, temper, seen: Mutex::default() });
        let router = Router::new()
            .route("/twilio/voice", post(voice))
            .route("/twilio/{callback}", post(callback))
            .route("/twilio/media-stream", any(media_stream))
            .with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, inner, _server: server }
    }

    pub(in super::super) fn seen(&self) -> Vec<Seen> {
        self.inner.seen().clone()
    }

    /// Returns the webhooks that passed the door, as path and the event they told.
    pub(in super::super) fn webhooks(&self) -> Vec<(String, String)> {
        let told = |form: &Form| {
            let fields = ["StreamEvent", "RecordingStatus", "CallStatus"];
            fields.iter().find_map(|field| form.get(field)).unwrap_or("").to_owned()
        };
        let webhook = |seen: &Seen| match seen {
            Seen::Webhook { path, form } => Some((path.clone(), told(form))),
            _ => None,
        };
        self.seen().iter().filter_map(webhook).collect()
    }

    pub(in super::super) fn forms(&self, wanted: &str) -> Vec<Form> {
        let form = |seen: Seen| match seen {
            Seen::Webhook { path, form } if path == wanted => Some(form),
            _ => None,
        };
        self.seen().into_iter().filter_map(form).collect()
    }

    pub(in super::super) fn messages(&self) -> Vec<(MediaMessage, Instant)> {
        let message = |seen: Seen| match seen {
            Seen::Message { message, at } => Some((message, at)),
            _ => None,
        };
        self.seen().into_iter().filter_map(message).collect()
    }
}

impl Inner {
    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, seen: Seen) {
        self.seen().push(seen);
    }

    fn lets_in(
        &self,
        arrival: Arrival,
        uri: &OriginalUri,
        headers: &HeaderMap,
        form: &Form,
    ) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let body = match arrival {
            Arrival::Webhook => SignedBody::Form(form.pairs()),
            Arrival::Upgrade => SignedBody::None,
        };
        let knock = Knock {
            arrival,
            target: uri.path_and_query().unwrap().as_str(),
            body,
            signature: text("X-Twilio-Signature"),
            settings: None,
        };
        self.door.check(knock).is_ok()
    }
}

async fn voice(
    State(inner): State<Arc<Inner>>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> HttpResponse {
    let form = Form::parse(&body).unwrap();
    if !inner.lets_in(Arrival::Webhook, &uri, &headers, &form) {
        return StatusCode::FORBIDDEN.into_response();
    }
    inner.note(Seen::Webhook { path: uri.path().to_owned(), form });
    let token = inner.seen().len();
    let public = PublicUrl::parse(PUBLIC).unwrap();
    let stream = Stream::new(
        &public.websocket("/twilio/media-stream"),
        "live",
        StreamTracks::Both,
        &public.callback("/twilio/stream-status"),
    );
    let stream = stream.unwrap().with_parameter("token", &format!("t{token} & <>")).unwrap();
    let status_callback = Some(public.callback("/twilio/recording-status"));
    let recording = Recording { status_callback };
    let nouns = vec![Noun::Client("agent".to_owned())];
    let dial = Dial { caller_id: None, answer: AnswerOn::Bridge, timeout_s: 20, nouns };
    let document = match inner.temper {
        Temper::Degraded => Response::new().then(recording).then(dial),
        Temper::NoTwiml => return "hello".into_response(),
        _ => Response::new().then(stream).then(recording).then(dial),
    };
    ([(header::CONTENT_TYPE, "text/xml")], document.to_xml()).into_response()
}

async fn callback(
    State(inner): State<Arc<Inner>>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let form = Form::parse(&body).unwrap();
    if !inner.lets_in(Arrival::Webhook, &uri, &headers, &form) {
        return StatusCode::FORBIDDEN;
    }
    let path = uri.path().to_owned();
    let again = inner.seen().iter().any(
        |seen| matches!(seen, Seen::Webhook { path: known, form: same } if *known == path && *same == form),
    );
    inner.note(Seen::Webhook { path, form });
    if inner.temper == Temper::Stumbles && !again {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::NO_CONTENT
    }
}

async fn media_stream(
    State(inner): State<Arc<Inner>>,
    uri: OriginalUri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> HttpResponse {
    let form = Form::parse(b"").unwrap();
    let in_order = inner.lets_in(Arrival::Upgrade, &uri, &headers, &form);
    if !in_order || inner.temper == Temper::RefusesUpgrade {
        return StatusCode::FORBIDDEN.into_response();
    }
    inner.note(Seen::Upgrade { headers });
    upgrade.on_upgrade(move |socket| listen(inner, socket))
}

async fn listen(inner: Arc<Inner>, mut socket: WebSocket) {
    let mut in_good_order = false;
    while let Some(Ok(message)) = socket.recv().await {
        match message {
            Message::Text(text) => {
                let message = MediaMessage::parse(&text).unwrap();
                let started = matches!(message, MediaMessage::Start(_));
                inner.note(Seen::Message { message, at: Instant::now() });
                if started && inner.temper == Temper::ClosesStream {
                    let reason = "spent token".into();
                    socket
                        .send(Message::Close(Some(CloseFrame { code: 1008, reason })))
                        .await
                        .unwrap();
                }
            }
            Message::Close(_) => in_good_order = true,
            other => panic!("Twilio sends no {other:?}"),
        }
    }
    inner.note(Seen::Closed { in_good_order });
}
