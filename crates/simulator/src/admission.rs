//! Which connections are let in: counts those that are open, and how many each client has.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    http::{Answer, Request},
    routes::problem,
};

/// The connections of a simulator.
#[derive(Debug)]
pub(crate) struct Admission {
    connections_per_client: Option<u32>,
    clients: Mutex<HashMap<String, u32>>,
    connections: AtomicU64,
    open: AtomicU64,
}

impl Admission {
    pub(crate) fn new(connections_per_client: Option<u32>) -> Self {
        Self {
            connections_per_client,
            clients: Mutex::default(),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
        }
    }

    /// Streams asked for so far, those refused included.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Streams open now.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a stream that is asked for; its number, from 1.
    pub(crate) fn count(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Lets a stream in, unless its client has as many as it may have.
    pub(crate) fn admit(&self, request: &Request) -> Result<Admitted<'_>, Box<Answer>> {
        let client = match self.connections_per_client {
            Some(limit) => {
                let Some(client) = request.header("x-client-ip") else {
                    let detail = "the X-Client-IP header is required";
                    return Err(Box::new(problem(request, 400, "bad_request", "Bad Request", detail)));
                };
                let mut clients = self.clients();
                let open = clients.entry(client.to_owned()).or_default();
                if *open >= limit {
                    return Err(Box::new(too_many(request)));
                }
                *open += 1;
                Some(client.to_owned())
            }
            None => None,
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Admitted { admission: self, client })
    }

    /// The map is whole at every moment, so a panic elsewhere does not spoil it.
    fn clients(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a client that has too many connections.
pub(crate) fn too_many(request: &Request) -> Answer {
    let title = "Too Many Concurrent Connections From Your Client IP";
    problem(request, 429, "too_many_requests", title, title)
}

/// A connection that counts as open while this lives.
pub(crate) struct Admitted<'a> {
    admission: &'a Admission,
    client: Option<String>,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = &self.client else { return };
        let mut clients = self.admission.clients();
        if let Some(open) = clients.get_mut(client) {
            *open -= 1;
            if *open == 0 {
                clients.remove(client);
            }
        }
    }
}
