//! One request in, one reply out, or the answer to the only question that matters: can it have been sent?

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{content::media::Upload, locale::Phrase, redact::Secret};

/// A request to the platform.
#[derive(Debug)]
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub(crate) method: Method,
    /// Path below the API's base.
    pub path: &'a str,
    /// The query; its values are secrets and stay out of every message.
    pub query: &'a [(&'a str, &'a Secret)],
    /// Headers besides those of every request; their values are secrets like those of the query.
    pub headers: &'a [(&'a str, &'a Secret)],
    /// The body of a POST.
    pub body: Body<'a>,
    /// How long the whole may take.
    pub(crate) timeout: Duration,
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// JSON; empty for a GET.
    Json(&'a str),
    /// A file, as a form.
    File(&'a Arc<Upload>),
}

/// The methods of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// The time that the server tells with it (`Date`); none if it tells none, or a cache gave the answer.
    pub date: Option<Timestamp>,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The request provably did not leave: name not resolved, connection refused, no TLS.
    NotSent(Phrase),
    /// It may have been carried out.
    MaybeSent(Phrase),
}

/// Sends requests. Never repeats one by itself.
pub trait Transport {
    fn send(&mut self, request: &Request<'_>) -> Result<Answer, Failure>;
}
