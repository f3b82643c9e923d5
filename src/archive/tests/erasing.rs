//! Erasing elsewhere: in a real S3 server, in one that keeps versions, and at Twilio.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};
use tokio_util::sync::CancellationToken;

use super::super::place::Place as S3Place;
use super::super::removal::Removed;
use super::super::wire::Fault;
use super::house::*;
use super::server::Lie;
use super::*;
use crate::clock::Clock as _;
use crate::pipeline::{Due, Link, Probe};
use crate::store::*;

impl House {
    fn eraser(&self, link: Option<Link>) -> Eraser {
        Eraser::new(EraserOptions {
            store: self.store.clone(),
            clock: self.clock.clone(),
            due: Due::default(),
            link,
            remote: Some(self.remote()),
            twilio: Some(self.twilio.client()),
        })
    }

    async fn erase(&self) {
        let wish = NewErasure {
            id: "ER1".to_owned(),
            of: ErasureOf::Call(call_sid()),
            actor: "anna".to_owned(),
            at: self.clock.now(),
            clock_synced: true,
            has_archive: true,
        };
        assert_eq!(self.store.erase(wish).await.unwrap(), Begun::Begun);
    }

    async fn round(&self) {
        self.eraser(None).round(false, &CancellationToken::new()).await.unwrap();
    }

    async fn elsewhere(&self) -> Vec<Item> {
        let erasure = self.store.erasure("ER1".to_owned()).await.unwrap().unwrap();
        erasure.items.into_iter().filter(|item| item.place != Place::Here).collect()
    }
}

#[tokio::test]
async fn an_erased_call_goes_from_the_archive_and_from_twilio_its_recordings_first() {
    let house = House::with_a_call().await;
    house.archive().await;
    let objects = house.store.archive_objects(&call_sid()).await.unwrap();
    house.erase().await;
    house.round().await;
    for object in &objects {
        assert!(house.s3.object(&object.key).is_none(), "{}", object.key);
    }
    house.clock.advance(Duration::from_mins(1));
    house.round().await;
    assert!(!house.twilio.has() && !house.twilio.has_call());
    let items = house.elsewhere().await;
    assert!(items.iter().all(|item| item.status == ItemStatus::Done), "{items:#?}");
    assert_eq!(items.iter().filter(|item| item.kind == ItemKind::Object).count(), 6);
}

#[tokio::test]
async fn a_recording_at_twilio_that_nobody_here_knew_goes_before_its_call() {
    let house = House::with_a_call().await;
    let unknown = format!("RE{:032x}", 77);
    house.twilio.shared.recordings.lock().unwrap().insert(unknown.clone(), "completed");
    house.erase().await;
    house.round().await;
    assert!(house.twilio.has_call(), "not while something was recorded of it is there");
    for _ in 0..2 {
        house.clock.advance(Duration::from_mins(1));
        house.round().await;
    }
    assert!(house.twilio.shared.recordings.lock().unwrap().is_empty());
    assert!(!house.twilio.has_call());
    let items = house.elsewhere().await;
    assert!(items.iter().any(|item| item.name == unknown && item.status == ItemStatus::Done));
}

#[tokio::test]
async fn a_key_without_the_right_to_delete_is_told_what_it_lacks_and_is_tried_for_ever() {
    let house = House::with_a_call().await;
    house.archive().await;
    house.erase().await;
    house.s3.lie(Lie::Says(403, "AccessDenied"));
    for _ in 0..30 {
        house.round().await;
        house.clock.advance(Duration::from_hours(1));
    }
    let items = house.elsewhere().await;
    let object = items.iter().find(|item| item.kind == ItemKind::Object).unwrap();
    let note = object.note.as_deref().unwrap();
    assert!(note.contains("no right to delete") && note.contains("s3:DeleteObject"), "{note}");
    assert_eq!((object.status, object.attempts), (ItemStatus::Pending, 30));
    house.s3.lie(Lie::None);
    house.round().await;
    let items = house.elsewhere().await;
    assert!(items.iter().all(|item| item.status != ItemStatus::Pending), "{items:#?}");
}

#[tokio::test]
async fn while_the_network_is_away_nothing_is_tried_and_all_of_it_when_it_is_back() {
    let house = House::with_a_call().await;
    house.erase().await;
    let up = Arc::new(Mutex::new(false));
    let asked = Arc::clone(&up);
    let probe: Probe = Arc::new(move || {
        let found = if *asked.lock().unwrap() { Ok(()) } else { Err("no route".to_owned()) };
        Box::pin(async { found })
    });
    let link = Link::open(house.store.clone(), house.clock.clone(), probe).await.unwrap();
    link.check().await;
    let eraser = house.eraser(Some(link.clone()));
    let stop = CancellationToken::new();
    eraser.round(false, &stop).await.unwrap();
    assert_eq!(house.twilio.deletions(), 0);
    let items = house.elsewhere().await;
    assert!(items.iter().all(|item| item.attempts == 0), "that is no attempt");
    assert!(items.iter().all(|item| item.note.as_deref() == Some("the network is away")));
    *up.lock().unwrap() = true;
    house.clock.advance(Duration::from_secs(5));
    link.check().await;
    eraser.round(true, &stop).await.unwrap();
    house.clock.advance(Duration::from_mins(1));
    eraser.round(false, &stop).await.unwrap();
    assert!(!house.twilio.has_call());
}

#[tokio::test]
async fn a_call_archived_again_after_a_purge_keeps_what_the_archive_has_of_it() {
    let house = House::with_a_call().await;
    house.archive().await;
    let before = house.store.archive_objects(&call_sid()).await.unwrap();
    let kept = house.store.keepsakes().await.unwrap().remove(0);
    let names: Vec<String> = kept.pieces.iter().map(|piece| piece.name.clone()).collect();
    let purge = Purge {
        expected: kept,
        names: names.clone(),
        detail: "{}".to_owned(),
        actor: "anna".to_owned(),
        at: house.clock.now(),
    };
    assert!(house.store.purge(purge).await.unwrap());
    house.make_due(crate::domain::Stage::Archive);
    house.archive().await;
    let after = house.store.archive_objects(&call_sid()).await.unwrap();
    let keys = |objects: &[ArchiveObject]| -> Vec<String> {
        objects.iter().map(|object| object.key.clone()).collect()
    };
    assert_eq!(keys(&after), keys(&before));
    let page = house.s3.object(&format!("{FOLDER}/manifest.json")).unwrap();
    let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
    let kinds: Vec<_> =
        page["files"].as_array().unwrap().iter().map(|file| &file["kind"]).collect();
    assert_eq!(kinds, ["party", "cloud-recording", "party", "transcript", "transcript"]);
}

/// A bucket that keeps versions: of each key, the newest last; none is a mark of deletion.
#[derive(Debug, Clone, Default)]
struct Versioned {
    versions: Arc<Mutex<HashMap<String, Vec<Option<u32>>>>>,
    may_remove_versions: bool,
}

impl Versioned {
    fn remote(&self) -> Remote {
        let options = options("http://127.0.0.1:9");
        let place = S3Place::new(&options).unwrap();
        Remote::over(self.clone(), place, &options, at_once()).unwrap()
    }

    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let says = |status: u16, code: &str| {
            let fault = Fault::Answer { status, code: code.to_owned(), words: String::new() };
            HttpError::new(HttpErrorKind::Unknown, fault)
        };
        let key = request.uri().path().rsplit('/').next().unwrap().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let wanted = query.split('&').find_map(|pair| pair.strip_prefix("versionId="));
        let mut held = self.versions.lock().unwrap();
        let versions = held.entry(key).or_default();
        let mut response = HttpResponse::new(Vec::new().into());
        match (request.method().as_str(), wanted) {
            ("HEAD", _) => {
                let Some(Some(newest)) = versions.last() else { return Err(says(404, "")) };
                let headers = response.headers_mut();
                headers.insert("x-amz-version-id", newest.to_string().parse().unwrap());
                headers.insert("content-length", 7_u64.into());
                headers.insert("etag", "\"e\"".parse().unwrap());
            }
            ("DELETE", Some(_)) if !self.may_remove_versions => {
                return Err(says(403, "AccessDenied"));
            }
            ("DELETE", Some(version)) => {
                versions.retain(|held| *held != version.parse().ok());
            }
            ("DELETE", None) => versions.push(None),
            (other, _) => panic!("{other}"),
        }
        Ok(response)
    }
}

impl HttpService for Versioned {
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { self.answer(&request) })
    }
}

#[tokio::test]
async fn every_version_of_an_object_goes_and_where_those_may_not_go_it_is_told() {
    for (may_remove_versions, removed, left) in
        [(true, Removed::Gone { versions: 3 }, 0), (false, Removed::Hidden, 4)]
    {
        let bucket = Versioned { may_remove_versions, ..Versioned::default() };
        let versions = vec![Some(1), Some(2), Some(3)];
        bucket.versions.lock().unwrap().insert("manifest.json".to_owned(), versions);
        let remote = bucket.remote();
        assert_eq!(remote.remove("manifest.json").await.unwrap(), removed);
        assert_eq!(bucket.versions.lock().unwrap()["manifest.json"].len(), left);
        assert_eq!(remote.remove("manifest.json").await.unwrap(), Removed::WasNotThere);
    }
}

#[tokio::test]
async fn a_witness_tells_what_is_there_what_is_not_and_that_nobody_answers() {
    let house = House::with_a_call().await;
    house.archive().await;
    let known = (house.store.clone(), house.clock.clone() as crate::clock::SharedClock);
    let witness = Witness::new(known, Some(house.remote()), Some(house.twilio.client()));
    let object = house.store.archive_objects(&call_sid()).await.unwrap().remove(0);
    let archived = Archived {
        key: object.key.clone(),
        size_bytes: object.size_bytes,
        sha256: object.sha256,
        etag: object.etag,
    };
    assert_eq!(witness.archive(&archived).await, Testimony::There);
    assert_eq!(witness.recording(&recording()).await, Testimony::There);
    house.s3.lie(Lie::Says(503, "SlowDown"));
    assert!(matches!(witness.archive(&archived).await, Testimony::Unknown { .. }));
    house.s3.lie(Lie::None);
    house.s3.alter(&object.key, |bytes| Some(vec![0; bytes.len()]));
    let altered = Archived { etag: None, ..archived.clone() };
    assert!(matches!(witness.archive(&altered).await, Testimony::Gone { .. }));
    house.s3.alter(&object.key, |_| None);
    assert!(matches!(witness.archive(&archived).await, Testimony::Gone { .. }));
    house.twilio.shared.recordings.lock().unwrap().clear();
    assert!(matches!(witness.recording(&recording()).await, Testimony::Gone { .. }));
    let row = house.store.call(&call_sid()).await.unwrap().unwrap().cloud_recordings.remove(0);
    assert!(row.twilio_deleted_at.is_some(), "that it is gone is written down");
}
