//! Removing objects from the archive, because a person has had their call erased.

use std::time::Duration;

use object_store::ObjectStoreExt as _;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer as _};
use reqwest::Method;

use super::error::is_missing;
use super::{Error, Remote};

/// Versions of one object that are removed at once: a call is archived a few times at most.
const VERSIONS_MAX: u32 = 100;

/// How long a signature is good: for one request that leaves at once.
const SIGNED_FOR: Duration = Duration::from_mins(5);

/// What came of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Removed {
    /// It is gone, with so many versions where the bucket keeps them.
    Gone {
        /// 0 where the bucket keeps none.
        versions: u32,
    },
    /// It is shown no more, but the bucket keeps older versions that the key may not remove.
    Hidden,
    /// It was not there.
    WasNotThere,
}

impl Remote {
    /// Removes an object, every version of it that the bucket shows, and looks that it is gone.
    pub(super) async fn remove(&self, key: &str) -> Result<Removed, Error> {
        let location = self.location(key)?;
        let (mut versions, mut hidden, mut deleted) = (0, false, false);
        for _ in 0..VERSIONS_MAX {
            let head = match self.store.head(&location).await {
                Ok(head) => head,
                Err(error) if is_missing(&error) => {
                    return Ok(match (deleted, hidden) {
                        (false, _) => Removed::WasNotThere,
                        (true, true) => Removed::Hidden,
                        (true, false) => Removed::Gone { versions },
                    });
                }
                Err(error) => return Err(self.sorted(&error)),
            };
            // Once it was removed without one, more of the same would bring nothing.
            let version = head.version.filter(|version| version != "null" && !hidden);
            match version {
                Some(version) => match self.remove_version(&location, &version).await {
                    Ok(()) => versions += 1,
                    Err(Error::Denied { .. }) => {
                        hidden = true;
                        self.remove_plainly(&location).await?;
                    }
                    Err(error) => return Err(error),
                },
                None if deleted => {
                    let why = "it said that it removed it and shows it still".to_owned();
                    return Err(Error::NotShown { key: key.to_owned(), why });
                }
                None => self.remove_plainly(&location).await?,
            }
            deleted = true;
        }
        Err(Error::Refused { why: format!("{key} has more than {VERSIONS_MAX} versions") })
    }

    async fn remove_plainly(&self, location: &Path) -> Result<(), Error> {
        match self.store.delete(location).await {
            Err(error) if !is_missing(&error) => Err(self.sorted(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes one version for good. The client above has no word for that, so it signs an address
    /// and the request goes over the same line.
    async fn remove_version(&self, location: &Path, version: &str) -> Result<(), Error> {
        let options = SignedUrlOptions::default().with_query([("versionId", version)]);
        let url = self.store.signed_url_opts(Method::DELETE, location, SIGNED_FOR, &options).await;
        let url = url.map_err(|error| self.sorted(&error))?;
        let refused = |why: String| Error::Refused { why };
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = url.as_str().parse().map_err(|_| {
            refused("an address that the archive's client made cannot be read".to_owned())
        })?;
        let sent = self.line.execute(request).await;
        sent.map(drop).map_err(|error| Error::of_line(&error, &self.bucket))
    }
}
