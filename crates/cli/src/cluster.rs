//! The cluster, reached with a kubeconfig: lists of objects, the agents, and programs in their
//! containers.

pub(crate) mod access;
pub(crate) mod agents;
pub(crate) mod conf;
pub(crate) mod exec;
mod log;
mod pod;

use std::env;
use std::future::Future;
use std::path::PathBuf;

use clap::Args;
use mesh_cni_kube::access::ApiAccess;
use mesh_cni_kube::api::Api;
use mesh_cni_kube::api_error::ApiError;
use mesh_cni_kube::decode::Keep;
use mesh_cni_kube::list::{ListSource, Selector};
use mesh_cni_kube::object::Object;
use serde_json::Value;

pub(crate) use access::request_failure;

use crate::failure::Failure;

/// Which cluster.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ClusterArguments {
    /// The kubeconfig [default: the files in the variable KUBECONFIG, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig [default: its current context]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

impl ClusterArguments {
    /// Whether a flag names the cluster.
    pub(crate) fn is_given(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    /// Whether there is a kubeconfig, as kubectl looks for it.
    pub(crate) fn has_kubeconfig(&self) -> bool {
        let home = || env::home_dir().is_some_and(|home| home.join(".kube/config").exists());
        self.kubeconfig.is_some()
            || env::var_os("KUBECONFIG").is_some_and(|paths| !paths.is_empty())
            || home()
    }
}

/// A cluster whose API server answers.
pub(crate) struct Cluster {
    api: Api,
    /// What the API server says about its version.
    pub(crate) version: ServerVersion,
}

/// The version of an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerVersion {
    /// For example `v1.34.2+k3s1`.
    pub(crate) text: String,
}

/// A list of objects.
#[derive(Debug)]
pub(crate) struct Listed<O> {
    pub(crate) objects: Vec<O>,
    /// The objects that cannot be read, and why, one line each.
    pub(crate) unreadable: Vec<String>,
}

/// How the API server sees this program.
const USER_AGENT: &str = concat!("mesh-cnictl/", env!("CARGO_PKG_VERSION"));

/// How many objects are in a page of a list, as `kubectl` requests them.
const PAGE_SIZE: u32 = 500;

/// Runs requests to a cluster until they are done.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment(error).about("cannot start the event loop"))?
        .block_on(work)
}

impl Cluster {
    /// Connects, and asks for the version.
    pub(crate) async fn connect(arguments: &ClusterArguments) -> Result<Self, Failure> {
        let access = ApiAccess::Kubectl {
            kubeconfig: arguments.kubeconfig.clone(),
            context: arguments.context.clone(),
        };
        let api = Api::new(access, USER_AGENT);
        let version = api.get::<ServerVersion>("", "version").await;
        let version = version.map_err(|error| access::failure(error, arguments))?;
        let version = version.map_or_else(ServerVersion::unknown, |found| found.object);
        Ok(Self { api, version })
    }

    /// Every object at that path that the selector matches.
    pub(crate) async fn list<O: Object>(
        &self,
        path: &str,
        selector: Selector<'_>,
    ) -> Result<Listed<O>, ApiError> {
        let mut listed = Listed::default();
        self.each_object(path, selector, |object| match object {
            Ok(object) => listed.objects.push(object),
            Err(reason) => listed.unreadable.push(reason),
        })
        .await?;
        Ok(listed)
    }

    /// The same, one by one, for large lists: objects, or why one cannot be read.
    pub(crate) async fn each_object<O: Object>(
        &self,
        path: &str,
        selector: Selector<'_>,
        on_object: impl FnMut(Result<O, String>),
    ) -> Result<(), ApiError> {
        let pages = ListSource::Pages(PAGE_SIZE);
        let listed = self.api.list(path, selector, &pages, on_object).await;
        listed.map(drop)
    }

    /// One object; `None` if it does not exist.
    pub(crate) async fn get<O: Object>(
        &self,
        path: &str,
        name: &str,
    ) -> Result<Option<O>, ApiError> {
        Ok(self.api.get(path, name).await?.map(|found| found.object))
    }

    /// Asks the API server to review what an object describes, such as a right.
    pub(crate) async fn review(
        &self,
        path: &str,
        object: &Value,
        keep: &'static Keep,
    ) -> Result<Value, ApiError> {
        self.api.review(path, object, keep).await
    }
}

impl ServerVersion {
    fn unknown() -> Self {
        Self {
            text: "unknown".to_owned(),
        }
    }
}

impl Object for ServerVersion {
    const KEEP: &'static Keep = &Keep::Fields(&[("gitVersion", &Keep::All)]);

    fn from_object(object: &Value) -> Result<Self, &'static str> {
        let text = object["gitVersion"].as_str();
        Ok(Self {
            text: text.ok_or("a version without `gitVersion`")?.to_owned(),
        })
    }
}

impl<O> Default for Listed<O> {
    fn default() -> Self {
        Self {
            objects: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}
