//! Lists too long for one answer.

use std::sync::Arc;

use super::RestError;
use super::line::{self, Ask, Line};
use super::resources::Page;
use super::target::Target;
use crate::domain::AccountSid;

/// The pages of one list that are followed: a million calls.
const PAGES_MAX: usize = 1000;

/// A list, page by page.
///
/// After an error the same page can be asked for again. Pages can shift while they are read: one
/// resource may come twice, so take them by their SID.
pub struct Pages<T> {
    line: Arc<Line>,
    next: Option<Target>,
    read: ReadPage<T>,
    count: usize,
}

type ReadPage<T> = fn(&AccountSid, &[u8]) -> Result<Page<T>, RestError>;

impl<T> Pages<T> {
    pub(super) fn new(line: Arc<Line>, first: Target, read: ReadPage<T>) -> Self {
        Self { line, next: Some(first), read, count: 0 }
    }

    /// Fetches the next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, RestError> {
        let Some(target) = &self.next else {
            return Ok(None);
        };
        if self.count == PAGES_MAX {
            return Err(RestError::garbled("a list that does not end"));
        }
        let answer = line::read(self.line.send(Ask::get(target.clone())).await?).await?;
        let page = (self.read)(&self.line.account, &answer.body)?;
        let next = page.next.map(|link| self.following(target, &link)).transpose()?;
        self.next = next;
        self.count += 1;
        Ok(Some(page.items))
    }

    /// Fetches all pages.
    pub async fn all(mut self) -> Result<Vec<T>, RestError> {
        let mut items = Vec::new();
        while let Some(page) = self.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    fn following(&self, current: &Target, link: &str) -> Result<Target, RestError> {
        let next = Target::next_page(&self.line.account, link);
        next.filter(|next| next != current)
            .ok_or_else(|| RestError::garbled("a list whose next page is not our account's"))
    }
}
