//! What each route answers, up to the moment when a stream begins (EVENTSTREAMS.md, sections 1.1 and 1.5).

use lakehead_eventstreams_wire::{
    Entry, LAST_EVENT_ID, MEDIA_TYPE, MEDIA_TYPE_UTF8, SINCE, read_last_event_id, read_since,
};
use serde_json::{Value, json};

use crate::{
    feed::Feed,
    http::{Answer, Request, decode},
};

const JSON: &str = "application/json; charset=utf-8";
/// The service's version in production since July 2026.
const VERSION: &str = "0.20.0";

/// A stream that may begin.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The topics of the streams in the path.
    pub(crate) topics: Vec<usize>,
    pub(crate) entries: Option<Vec<Entry>>,
    pub(crate) since: Option<i64>,
    /// Whether events come as lines of JSON instead of Server-Sent Events.
    pub(crate) lines: bool,
    pub(crate) content_type: &'static str,
}

/// What a request leads to.
pub(crate) enum Route {
    Answer(Answer),
    Stream(Subscription),
}

/// Finds what the request leads to.
pub(crate) fn route(request: &Request, feed: &Feed) -> Route {
    let path = decode(request.path(), false);
    if !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        return Route::Answer(problem(request, 405, "method_not_allowed", "Method Not Allowed", "only GET is served"));
    }
    if let Some(names) = path.strip_prefix("/v2/stream/") {
        return match subscribe(request, feed, names) {
            Ok(subscription) => Route::Stream(subscription),
            Err(answer) => Route::Answer(*answer),
        };
    }
    let redirect = |status: u16, location: &str| {
        let mut answer = Answer::new(status, "text/plain; charset=utf-8", format!("Redirecting to {location}"));
        answer.headers.push(("location", location.to_owned()));
        answer
    };
    let text = |value: Value| Answer::new(200, JSON, value.to_string());
    Route::Answer(match path.as_str() {
        "/" if request.query("spec").is_some() => text(spec(feed)),
        "/" if request.query("doc").is_some() => Answer::new(200, "text/html; charset=utf-8", documentation(feed)),
        "/" => redirect(303, "/?doc"),
        "/rc" => redirect(301, "/?doc"),
        "/robots.txt" => Answer::new(200, "text/plain; charset=utf-8", "User-agent: *\nDisallow: /\n"),
        "/_info" => text(json!({
            "name": "lakehead-simulator", "version": VERSION, "description": DESCRIPTION, "home": HOME,
        })),
        "/_info/name" => text(json!({ "name": "lakehead-simulator" })),
        "/_info/version" => text(json!({ "version": VERSION })),
        "/_info/home" => redirect(301, HOME),
        _ => problem(request, 404, "not_found", "Not Found", "there is no such route"),
    })
}

const DESCRIPTION: &str = "A simulated EventStreams: made-up or recorded events in Wikimedia's protocol";
const HOME: &str = "https://wikitech.wikimedia.org/wiki/Event_Platform/EventStreams_HTTP_Service";

fn subscribe(request: &Request, feed: &Feed, names: &str) -> Result<Subscription, Box<Answer>> {
    let topics = topics(request, feed, names)?;
    let since = match request.query(SINCE).filter(|text| !text.is_empty()) {
        Some(text) => Some(read_since(&text).ok_or_else(|| {
            let detail = format!("invalid timestamp: {text}");
            Box::new(problem(request, 400, "invalid_timestamp", "Invalid Timestamp", &detail))
        })?),
        None => None,
    };
    let entries = request.header(LAST_EVENT_ID).map(|header| entries(header, feed, &topics)).transpose()?;
    let accept = request.header("accept");
    let lines = accept.is_some_and(|accept| accept.starts_with("application/json"));
    let content_type = match (lines, accept) {
        (true, _) => JSON,
        (false, Some(_)) => MEDIA_TYPE_UTF8,
        (false, None) => MEDIA_TYPE,
    };
    Ok(Subscription { topics, entries, since, lines, content_type })
}

/// The topics of the streams of these names, or aliases.
fn topics(request: &Request, feed: &Feed, names: &str) -> Result<Vec<usize>, Box<Answer>> {
    let mut topics: Vec<usize> = Vec::new();
    let mut unknown = Vec::new();
    for name in names.split(',') {
        let known = feed.streams().into_iter().find(|stream| *stream == name || Feed::alias(stream) == Some(name));
        match known {
            Some(stream) => topics.extend((0..feed.topics.len()).filter(|topic| feed.topics[*topic].stream == stream)),
            None => unknown.push(name),
        }
    }
    if !unknown.is_empty() {
        let detail = format!("Invalid streams: {}", unknown.join(","));
        return Err(Box::new(problem(request, 400, "not_found", "Stream Not Found", &detail)));
    }
    topics.sort_unstable();
    topics.dedup();
    Ok(topics)
}

/// The entries of a `Last-Event-ID`, all of them about topics of the subscription.
fn entries(header: &str, feed: &Feed, topics: &[usize]) -> Result<Vec<Entry>, Box<Answer>> {
    let entries = read_last_event_id(header).map_err(|message| {
        Box::new(kafka_error(400, "InvalidAssignmentError", &message, json!({ "last_event_id": header })))
    })?;
    let available: Vec<&str> = topics.iter().map(|topic| feed.topics[*topic].name.as_str()).collect();
    if let Some(entry) = entries.iter().find(|entry| !available.contains(&entry.topic())) {
        let message = format!("topic '{}' is not available for consumption.", entry.topic());
        let more = json!({ "availableTopics": available, "last_event_id": header });
        return Err(Box::new(kafka_error(404, "TopicNotAvailableError", &message, more)));
    }
    Ok(entries)
}

/// The problem body of the service itself.
pub(crate) fn problem(request: &Request, status: u16, kind: &str, title: &str, detail: &str) -> Answer {
    let body = json!({
        "status": status, "type": kind, "title": title, "detail": detail,
        "method": request.method.to_lowercase(), "uri": request.target,
    });
    Answer::new(status, JSON, body.to_string())
}

/// The error body of KafkaSSE, whose text is the reason phrase too.
fn kafka_error(status: u16, name: &str, message: &str, more: Value) -> Answer {
    let mut body = json!({
        "message": message, "origin": "KafkaSSE", "name": name, "originalName": name, "statusCode": status,
    });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    let mut answer = Answer::new(status, JSON, format!("{body}\n"));
    answer.reason = message.to_owned();
    answer
}

/// The OpenAPI description; the streams are in the first path's enum, where the service's own page looks for them.
fn spec(feed: &Feed) -> Value {
    let mut names: Vec<&str> = Vec::new();
    for stream in feed.streams() {
        names.push(stream);
        names.extend(Feed::alias(stream));
    }
    names.sort_unstable();
    names.dedup();
    let responses = json!({ "200": { "description": "Success", "content": {
        MEDIA_TYPE: { "schema": { "type": "string" } }, "application/json": { "schema": { "type": "object" } },
    } } });
    let resume = json!({ "name": "Last-Event-ID", "in": "header", "schema": { "type": "array", "items": { "type": "object" } } });
    let since = json!({ "name": SINCE, "in": "query", "schema": { "type": "string" } });
    let streams = json!({ "name": "streams", "in": "path", "required": true, "schema": {
        "type": "array", "items": { "type": "string", "enum": names },
    } });
    let mut paths = serde_json::Map::new();
    paths.insert(
        "/v2/stream/{streams}".to_owned(),
        json!({ "get": { "tags": ["streams"], "summary": "Subscribe to one or multiple streams.",
            "parameters": [streams, resume, since], "responses": responses } }),
    );
    for name in &names {
        paths.insert(
            format!("/v2/stream/{name}"),
            json!({ "get": { "tags": ["streams"], "summary": format!("{name} events"),
                "parameters": [resume, since], "responses": responses } }),
        );
    }
    json!({
        "openapi": "3.0.0",
        "info": { "version": VERSION, "title": "Wikimedia EventStreams (simulated)", "description": DESCRIPTION },
        "paths": paths,
    })
}

fn documentation(feed: &Feed) -> String {
    let mut page = format!("<!DOCTYPE html><title>EventStreams, simulated</title><p>{DESCRIPTION}.<ul>");
    for stream in feed.streams() {
        page.push_str(&format!("<li><a href=\"/v2/stream/{stream}\">{stream}</a>"));
    }
    page
}
