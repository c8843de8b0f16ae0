//! Lists of objects.

use std::pin::pin;
use std::time::Duration;

use futures_util::io::AsyncBufReadExt as _;
use kube::core::params::ListParams;
use kube::core::request::Request;
use tokio::time::timeout;

use crate::api::{Api, MAX_OBJECT_BYTES, START_TIMEOUT, build_error};
use crate::api_error::{ApiError, invalid};
use crate::list_body::{ListBody, ListMetadata};
use crate::object::Object;

/// The largest number of pages in a list, so that a list ends whatever the API server returns.
const MAX_PAGES: usize = 10_000;

/// The time limit for one response. The API server ends its own requests after a minute.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes that are read of a list from the cache: about 4,000 pods with a sidecar. A larger
/// list may not arrive within the time limit.
const MAX_CACHE_BYTES: u64 = 64 << 20;

/// The most bytes that are read of one page, however many objects it may have.
const MAX_PAGE_BYTES: u64 = 4 << 30;

/// Which objects of a kind are listed; by default all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selector<'a> {
    /// A field selector, for example `spec.nodeName=node-1`.
    pub fields: Option<&'a str>,
    /// A label selector, for example `app=web`.
    pub labels: Option<&'a str>,
}

/// Where the API server takes a list from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSource {
    /// From its cache, which is not older than this version; `0` for any. It finds the pods of a node
    /// without reading others. The whole list is one response.
    Cache(String),
    /// In pages of this many objects. Then the list is current, but API servers before 1.34 read all
    /// objects of the kind from etcd to find those that match a field selector.
    Pages(u32),
}

impl ListSource {
    /// The cache, whatever its version.
    pub fn any_version() -> Self {
        Self::Cache("0".to_owned())
    }

    fn params(&self) -> ListParams {
        match self {
            Self::Cache(version) => ListParams::default().match_any().at(version),
            Self::Pages(size) => ListParams::default().limit(*size),
        }
    }

    fn max_bytes(&self) -> u64 {
        match self {
            Self::Cache(_) => MAX_CACHE_BYTES,
            // Pods of a hostile tenant may all be as large as an object can be.
            Self::Pages(size) => MAX_PAGE_BYTES.min(u64::from(*size) * MAX_OBJECT_BYTES),
        }
    }
}

impl Api {
    /// Lists the objects at a path, for example `/api/v1/pods`, and returns the version of the list.
    /// Without a selector that says otherwise, every object is passed on, or why it cannot be read, while
    /// the response arrives.
    ///
    /// A list from the cache fails with [`ApiError::TooLarge`] if pages are better.
    pub async fn list<O: Object>(
        &self,
        path: &str,
        selector: Selector<'_>,
        source: &ListSource,
        mut on_object: impl FnMut(Result<O, String>),
    ) -> Result<String, ApiError> {
        let mut params = source.params();
        params.field_selector = selector.fields.map(str::to_owned);
        params.label_selector = selector.labels.map(str::to_owned);
        for _ in 0..MAX_PAGES {
            let page = self.page(path, &params, source.max_bytes(), &mut on_object);
            let page = timeout(RESPONSE_TIMEOUT, page).await;
            let page = page.map_err(|_elapsed| ApiError::Timeout(RESPONSE_TIMEOUT))??;
            if page.next.is_empty() {
                return Ok(page.version);
            }
            if params.continue_token.as_ref() == Some(&page.next) {
                return Err(invalid("a list that repeats `continue`"));
            }
            // The token names the version.
            (params.resource_version, params.version_match) = (None, None);
            params.continue_token = Some(page.next);
        }
        Err(invalid("a list that does not end"))
    }

    async fn page<O: Object>(
        &self,
        path: &str,
        params: &ListParams,
        max_bytes: u64,
        on_object: &mut impl FnMut(Result<O, String>),
    ) -> Result<ListMetadata, ApiError> {
        let request = Request::new(path);
        let request = if O::METADATA_ONLY {
            request.list_metadata(params)
        } else {
            request.list(params)
        };
        let body = timeout(START_TIMEOUT, self.open(request.map_err(build_error)?)).await;
        let mut body = pin!(body.map_err(|_elapsed| ApiError::Timeout(START_TIMEOUT))??);
        let mut list = ListBody::default();
        let mut bytes = 0;
        loop {
            let chunk = body.fill_buf().await?;
            let length = chunk.len();
            if length == 0 {
                return list.end();
            }
            bytes += length as u64;
            if bytes > max_bytes {
                return Err(ApiError::TooLarge(max_bytes));
            }
            list.push(chunk, on_object)?;
            body.consume_unpin(length);
        }
    }
}
