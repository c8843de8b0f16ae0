//! Lists of objects, page by page.

use kube::core::params::ListParams;
use kube::core::request::Request;
use tracing::warn;

use crate::api::{Api, LIST_TIMEOUT, MAX_OBJECT_BYTES, build_error};
use crate::api_error::{ApiError, invalid};
use crate::object::{Object, Page};

/// The largest number of pages in a list, so that a list ends whatever the API server returns.
const MAX_PAGES: usize = 10_000;

/// The most objects in one page of a list. A complete pod is about 15 KB of JSON.
const MAX_PAGE_SIZE: u32 = 50;

/// The largest page, in bytes. A page that is larger, or that has too many values, is requested again
/// with half as many objects.
const MAX_PAGE_BYTES: u64 = 4 << 20;

/// Which objects of a kind are listed; by default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selector<'a> {
    /// A field selector, for example `spec.nodeName=node-1`.
    pub fields: Option<&'a str>,
    /// A label selector, for example `app=web`.
    pub labels: Option<&'a str>,
}

/// A list that is being read.
pub struct List<'a> {
    api: &'a Api,
    path: &'a str,
    selector: Selector<'a>,
    /// The token for the next page; empty for the first one.
    next: String,
    size: PageSize,
    pages: usize,
}

/// How many objects to request in a page: fewer after a page that was too large, and more after small
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PageSize(u32);

impl Default for PageSize {
    fn default() -> Self {
        Self(MAX_PAGE_SIZE)
    }
}

impl PageSize {
    fn max_bytes(self) -> u64 {
        if self.is_one() {
            MAX_OBJECT_BYTES
        } else {
            MAX_PAGE_BYTES
        }
    }

    fn is_one(self) -> bool {
        self.0 == 1
    }

    fn shrink(&mut self) {
        self.0 = 1.max(self.0 / 2);
    }

    /// Grows if twice as many objects of the same size still fit.
    fn grow_after(&mut self, bytes: usize) {
        if (bytes as u64) < MAX_PAGE_BYTES / 4 {
            self.0 = MAX_PAGE_SIZE.min(self.0 * 2);
        }
    }
}

impl<'a> List<'a> {
    /// The list at that path, for example `/api/v1/pods`.
    pub fn new(api: &'a Api, path: &'a str, selector: Selector<'a>) -> Self {
        Self {
            api,
            path,
            selector,
            next: String::new(),
            size: PageSize::default(),
            pages: 0,
        }
    }

    /// The next page. [`Page::next`] of the last one is empty. Without a selector that says otherwise,
    /// every object is in one of the pages; one that cannot be read is an item with the reason.
    pub async fn next_page<O: Object>(&mut self) -> Result<Page<O>, ApiError> {
        self.pages += 1;
        if self.pages > MAX_PAGES {
            return Err(invalid("a list that does not end"));
        }
        let page = self.request().await?;
        if !page.next.is_empty() && page.next == self.next {
            return Err(invalid("a list that repeats `continue`"));
        }
        self.next.clone_from(&page.next);
        Ok(page)
    }

    /// Every object, or why one cannot be read.
    pub async fn all<O: Object>(mut self) -> Result<Vec<Result<O, String>>, ApiError> {
        let mut items = Vec::new();
        loop {
            let page = self.next_page().await?;
            items.extend(page.items);
            if page.next.is_empty() {
                return Ok(items);
            }
        }
    }

    /// The next page. An object that is too large or not valid JSON is in a page of its own, as an item
    /// that cannot be read.
    async fn request<O: Object>(&mut self) -> Result<Page<O>, ApiError> {
        let size = &mut self.size;
        loop {
            let mut params = ListParams::default().limit(size.0);
            params.field_selector = self.selector.fields.map(str::to_owned);
            params.label_selector = self.selector.labels.map(str::to_owned);
            if !self.next.is_empty() {
                params = params.continue_token(&self.next);
            }
            let list = Request::new(self.path);
            let request = list.list(&params).map_err(build_error)?;
            let body = self
                .api
                .request(request, LIST_TIMEOUT, size.max_bytes())
                .await;
            let error = match body.and_then(|body| Ok((Page::from_body(&body)?, body.len()))) {
                Ok(((_, true), _)) if !size.is_one() => {
                    size.shrink();
                    continue;
                }
                Ok(((page, _), bytes)) => {
                    size.grow_after(bytes);
                    return Ok(page);
                }
                Err(error) if error.is_invalid() => error,
                Err(error) => return Err(error),
            };
            if matches!(error, ApiError::Invalid(_)) {
                warn!(path = self.path, objects = size.0, "watch: {error}");
            }
            if size.is_one() {
                let request = list.list_metadata(&params).map_err(build_error)?;
                let body = self
                    .api
                    .request(request, LIST_TIMEOUT, MAX_OBJECT_BYTES)
                    .await;
                let page = body.and_then(|body| Page::from_metadata(&body));
                // An error of the first request says more.
                return page.map_err(|_second| error);
            }
            size.shrink();
        }
    }
}
