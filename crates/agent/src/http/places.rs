//! The places of one listener: how many connections it serves, how many of one client, and how many
//! bytes wait to be read.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::Places;

/// Smaller responses do not count: the number of connections already limits them.
const UNIT: usize = 16 * 1024;

/// The free places of a listener. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct FreePlaces {
    connections: Arc<Semaphore>,
    units: Arc<Semaphore>,
    per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A place for one connection, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _connection: OwnedSemaphorePermit,
    client: Option<IpAddr>,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl FreePlaces {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(places.connections)),
            units: Arc::new(Semaphore::new(places.unread_bytes / UNIT)),
            per_address: places.per_address,
            addresses: Arc::default(),
        }
    }

    /// A place for a connection of that client, unless all places or its own are in use. A Unix
    /// socket has no client addresses.
    pub(crate) fn take(&self, client: Option<IpAddr>) -> Option<Place> {
        let connection = Arc::clone(&self.connections).try_acquire_owned().ok()?;
        let client = client.map(|address| {
            let address = address.to_canonical();
            if address.is_loopback() {
                Ipv4Addr::LOCALHOST.into()
            } else {
                address
            }
        });
        if let Some(client) = client {
            let mut addresses = lock(&self.addresses);
            let used = addresses.get(&client).copied().unwrap_or_default();
            if used >= self.per_address {
                return None;
            }
            addresses.insert(client, used + 1);
        }
        Some(Place {
            _connection: connection,
            client,
            addresses: Arc::clone(&self.addresses),
        })
    }

    /// Reserves memory for a response with that many bytes, unless too many bytes wait already.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes / UNIT).ok()?;
        Arc::clone(&self.units).try_acquire_many_owned(units).ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut addresses = lock(&self.addresses);
        match addresses.get_mut(&client) {
            Some(used) if *used > 1 => *used -= 1,
            _ => drop(addresses.remove(&client)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> FreePlaces {
        FreePlaces::new(Places {
            connections: 5,
            per_address: 2,
            unread_bytes: 4 * UNIT,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_client_cannot_take_every_place() {
        let places = places();
        let local = ["127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"];
        let taken: Vec<_> = local
            .map(|client| places.take(Some(address(client))))
            .into();
        assert_eq!(taken.iter().flatten().count(), 2);
        let other = [0; 3].map(|_| places.take(Some(address("10.0.0.1"))));
        assert_eq!(other.iter().flatten().count(), 2);
        drop(taken);
        assert!(places.take(Some(address("127.0.0.1"))).is_some());
        assert!(places.addresses.lock().unwrap().len() == 1, "only 10.0.0.1");
    }

    #[test]
    fn all_clients_together_cannot_take_more_than_every_place() {
        let places = places();
        let taken: Vec<_> = (0..9)
            .map(|last| places.take(Some(address(&format!("10.0.0.{last}")))))
            .collect();
        assert_eq!(taken.iter().flatten().count(), 5);
        drop(taken);
        assert!(places.take(None).is_some());
    }

    #[test]
    fn unread_responses_are_limited_and_small_ones_are_not() {
        let places = places();
        let large = places.reserve(4 * UNIT);
        assert!(large.is_some());
        assert!(places.reserve(UNIT).is_none());
        assert!(places.reserve(UNIT - 1).is_some());
        drop(large);
        assert!(places.reserve(UNIT).is_some());
    }
}
