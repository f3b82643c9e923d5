//! What callbacks leave behind, in whatever order they come.

use tokio::net::TcpListener;

use super::{RECORDING_STATUS, STATUS, STREAM_STATUS};
use crate::support::{
    ACCOUNT, Form, Home, Socket, eventually, fresh_call_sid, fresh_recording_sid,
};

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<usize>| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    };
    orders(count - 1).into_iter().flat_map(insert).collect()
}

#[tokio::test]
async fn callbacks_in_any_order_and_repeated_leave_the_same_row() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let mut seen = Vec::new();
    for order in orders(5) {
        let (call_sid, recording_sid) = (fresh_call_sid(), fresh_recording_sid());
        let news = [
            (STATUS, Form::progress(&call_sid, "ringing")),
            (STATUS, Form::progress(&call_sid, "in-progress")),
            (STATUS, Form::progress(&call_sid, "completed").with("CallDuration", "63")),
            (RECORDING_STATUS, Form::recording(&call_sid, &recording_sid, "in-progress")),
            (
                RECORDING_STATUS,
                Form::recording(&call_sid, &recording_sid, "completed")
                    .with("RecordingDuration", "62"),
            ),
        ];
        let repeated = order.iter().chain(order.first());
        for place in repeated {
            let (path, form) = &news[*place];
            assert_eq!(twilio.post(path, form).await.status(), 204);
        }
        let ledger = home.ledger();
        let mut call = ledger.call(&call_sid).unwrap();
        assert!(call.ended_at_ms.is_some());
        (call.id, call.ended_at_ms) = (0, None);
        let cloud = ["recording_sid", "status", "duration_s", "channels"]
            .map(|column| ledger.cloud(&call_sid, column));
        assert_eq!(cloud[0], [Some(recording_sid.to_string())], "one row, whatever the order");
        seen.push((order, call, cloud[1..].to_vec()));
    }
    let (_, call, cloud) = &seen[0];
    assert_eq!(call.call_status, "completed");
    assert_eq!((call.duration_s, call.duration_source.as_deref()), (Some(63), Some("twilio")));
    assert_eq!(cloud[..2], [vec![Some("completed".to_owned())], vec![Some("62".to_owned())]]);
    for (order, other_call, other_cloud) in &seen {
        assert_eq!((other_call, other_cloud), (call, cloud), "in order {order:?}");
    }
    appliance.stop().await;
}

#[tokio::test]
async fn news_of_a_stream_changes_nothing_but_its_error() {
    let home = Home::new();
    let appliance = home.start().await;
    let twilio = appliance.twilio();
    let call_sid = fresh_call_sid();
    let token = twilio.announce(&call_sid).await;
    let socket = Socket::begin(&appliance, &call_sid, Some(&token)).await;
    appliance.log().await_line(&["stream.started", call_sid.as_str()]).await;
    let stream_sid = socket.stream_sid.clone();
    for event in ["stream-stopped", "stream-started", "stream-started"] {
        let form = Form::stream(&call_sid, &stream_sid, event);
        assert_eq!(twilio.post(STREAM_STATUS, &form).await.status(), 204);
    }
    let live = || home.ledger().streams(&call_sid).pop();
    let row = eventually("the stream has its row", async || live()).await;
    assert_eq!((row.stopped_at_ms, row.error), (None, None));
    let form = Form::stream(&call_sid, &stream_sid, "stream-error").with("StreamError", "31924");
    for _ in 0..2 {
        assert_eq!(twilio.post(STREAM_STATUS, &form).await.status(), 204);
    }
    let row = live().unwrap();
    assert_eq!((row.stopped_at_ms, row.error.as_deref()), (None, Some("31924")));
    socket.stop().await;
    appliance.stop().await;
}

#[tokio::test]
async fn a_recording_elsewhere_is_never_fetched() {
    let home = Home::new();
    let appliance = home.start().await;
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = trap.local_addr().unwrap();
    let call_sid = fresh_call_sid();
    for (scheme, status) in [("http", "completed"), ("https", "completed")] {
        let url = format!("{scheme}://{address}/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE1");
        let form = Form::recording(&call_sid, &fresh_recording_sid(), status);
        let form = form.with("RecordingUrl", &url);
        assert_eq!(appliance.twilio().post(RECORDING_STATUS, &form).await.status(), 204);
    }
    let ended = Form::progress(&call_sid, "completed");
    assert_eq!(appliance.twilio().post(STATUS, &ended).await.status(), 204);
    appliance.stop().await;
    let caught = tokio::time::timeout(std::time::Duration::ZERO, trap.accept()).await;
    assert!(caught.is_err(), "somebody came: {caught:?}");
    let kept = home.ledger().call(&call_sid).unwrap();
    assert_eq!(home.ledger().cloud(&call_sid, "path"), [None, None], "{kept:?}");
}
