//! The endpoints, and the way of every request: a request and the time go in, a reply comes out.
//!
//! [`State::handle`] is that way; what is special about an endpoint stands in [`ROUTES`].

use jiff::Timestamp;
use serde_json::Value;

use super::editor::Loss;
use super::errcode::{MALFORMED_BODY, REQUIRE_GET, REQUIRE_POST, Refusal, UNKNOWN_CGI_PATH};
use super::exchange::{Context, Reply, Request};
use super::multipart::Form;
use super::state::State;
use super::{comment, component, datacube, draft, mass, material, publications, publish, quota, upload};

/// What an endpoint expects in the body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Nothing: a GET endpoint.
    None,
    /// A JSON object, or nothing.
    Optional,
    /// A JSON object.
    Json,
    /// A form with a file.
    Form,
}

type Handler = fn(&mut State, &Context) -> Result<Value, Refusal>;

struct Route {
    path: &'static str,
    body: Body,
    /// The token endpoints are open; all others want a token.
    open: bool,
    /// The two mass calls share a quota, and look for duplicates before they use it, so they account for themselves.
    own_quota: bool,
    run: Handler,
}

impl Route {
    const fn new(path: &'static str, body: Body, run: Handler) -> Self {
        Route { path, body, open: false, own_quota: false, run }
    }

    const fn open(self) -> Self {
        Route { open: true, ..self }
    }

    const fn own_quota(self) -> Self {
        Route { own_quota: true, ..self }
    }

    /// GET endpoints are exactly those without a body.
    fn method(&self) -> &'static str {
        if self.body == Body::None { "GET" } else { "POST" }
    }
}

static ROUTES: &[Route] = &[
    Route::new("/cgi-bin/token", Body::None, |state, context| state.tokens.get(context)).open(),
    Route::new("/cgi-bin/stable_token", Body::Json, |state, context| state.tokens.get_stable(context)).open(),
    Route::new(component::COMPONENT_TOKEN, Body::Json, |state, context| {
        state.components.component_token(context, &mut state.tokens)
    })
    .open(),
    Route::new(component::AUTHORIZER_TOKEN, Body::Json, |state, context| {
        state.components.authorizer_token(context, &mut state.tokens)
    })
    .open(),
    Route::new(quota::SENDALL, Body::Json, mass::sendall).own_quota(),
    Route::new(quota::SEND, Body::Json, mass::send).own_quota(),
    Route::new("/cgi-bin/message/mass/preview", Body::Json, mass::preview),
    Route::new("/cgi-bin/message/mass/get", Body::Json, |state, context| state.jobs.get(context)),
    Route::new("/cgi-bin/message/mass/delete", Body::Json, |state, context| {
        state.jobs.delete(context, &mut state.deliveries)
    }),
    Route::new("/cgi-bin/message/mass/speed/get", Body::Optional, |state, _| state.jobs.speed_get()),
    Route::new("/cgi-bin/message/mass/speed/set", Body::Json, |state, context| state.jobs.speed_set(context)),
    Route::new(upload::UPLOADIMG, Body::Form, upload::uploadimg),
    Route::new("/cgi-bin/media/upload", Body::Form, upload::upload),
    Route::new(upload::ADD_MATERIAL, Body::Form, upload::add_material),
    Route::new("/cgi-bin/material/del_material", Body::Json, upload::del_material),
    Route::new("/cgi-bin/material/get_materialcount", Body::None, upload::get_materialcount),
    Route::new("/cgi-bin/material/batchget_material", Body::Json, material::batchget),
    Route::new("/cgi-bin/material/get_material", Body::Json, material::get),
    Route::new(draft::ADD, Body::Json, draft::add),
    Route::new("/cgi-bin/draft/get", Body::Json, draft::get),
    Route::new(draft::UPDATE, Body::Json, draft::update),
    Route::new("/cgi-bin/draft/delete", Body::Json, draft::delete),
    Route::new("/cgi-bin/draft/count", Body::None, draft::count),
    Route::new("/cgi-bin/draft/batchget", Body::Json, draft::batchget),
    Route::new(publications::SUBMIT, Body::Json, publish::submit),
    Route::new(publications::GET, Body::Json, publish::get),
    Route::new(publications::DELETE, Body::Json, publish::delete),
    Route::new(publications::GETARTICLE, Body::Json, publish::getarticle),
    Route::new(publications::BATCHGET, Body::Json, publish::batchget),
    Route::new("/cgi-bin/comment/open", Body::Json, comment::open),
    Route::new("/cgi-bin/comment/close", Body::Json, comment::close),
    Route::new("/cgi-bin/comment/list", Body::Json, comment::list),
    Route::new("/cgi-bin/comment/markelect", Body::Json, comment::elect),
    Route::new("/cgi-bin/comment/unmarkelect", Body::Json, comment::unelect),
    Route::new("/cgi-bin/comment/delete", Body::Json, comment::delete),
    Route::new("/cgi-bin/comment/reply/add", Body::Json, comment::reply),
    Route::new("/cgi-bin/comment/reply/delete", Body::Json, comment::unreply),
    Route::new("/cgi-bin/tags/get", Body::None, |state, _| state.directory.tags_get()),
    Route::new("/cgi-bin/tags/create", Body::Json, |state, context| state.directory.tags_create(context)),
    Route::new("/cgi-bin/user/get", Body::None, |state, context| state.directory.user_get(context)),
    Route::new("/cgi-bin/user/tag/get", Body::Json, |state, context| state.directory.user_tag_get(context)),
    Route::new(datacube::ARTICLES, Body::Json, datacube::articles),
    Route::new(datacube::FOLLOWERS, Body::Json, datacube::followers),
    Route::new("/cgi-bin/openapi/quota/get", Body::Json, quota_get),
];

/// The path as the table of routes spells it.
fn known_path(path: &str) -> Option<&'static str> {
    ROUTES.iter().map(|route| route.path).find(|known| *known == path)
}

/// Every path of the API.
pub(super) fn known_paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|route| route.path)
}

/// Whether a path is one of the two mass calls.
pub(super) fn is_mass(path: &str) -> bool {
    matches!(path, quota::SENDALL | quota::SEND)
}

/// Whether a path takes a form with a file.
pub(super) fn takes_form(path: &str) -> bool {
    ROUTES.iter().any(|route| route.path == path && route.body == Body::Form)
}

/// Whether a path gives an account's token with its refresh token.
pub(super) fn gives_refresh_token(path: &str) -> bool {
    path == component::AUTHORIZER_TOKEN
}

/// Whether a path writes a draft.
pub(super) fn writes_draft(path: &str) -> bool {
    matches!(path, draft::ADD | draft::UPDATE)
}

/// `POST /cgi-bin/openapi/quota/get`: the one endpoint that is about the others.
fn quota_get(state: &mut State, context: &Context) -> Result<Value, Refusal> {
    let path = match context.body.get("cgi_path") {
        Some(Value::String(path)) => known_path(path).ok_or(UNKNOWN_CGI_PATH)?,
        None => return Err(UNKNOWN_CGI_PATH.into()),
        Some(_) => return Err(MALFORMED_BODY.into()),
    };
    let kind = state.kind;
    state.quotas().get(kind, path, context.now)
}

impl State {
    pub(super) fn handle(&mut self, now: Timestamp, request: &Request) -> Reply {
        let Some(route) = ROUTES.iter().find(|route| route.path == request.path) else {
            // Whoever rehearses asks this server for the pictures that WeChat serves at the same path of another host.
            if let Some((file, format)) = self.media.picture_at(&request.path).filter(|_| request.method == "GET") {
                return Reply::of_file(file.clone(), format);
            }
            return Reply::http(404, "404 page not found\n");
        };
        let loss = self.loss.take();
        self.publications.ripen(now, &mut self.media);
        match self.answer(route, now, request, loss) {
            // As real replies to uploads come.
            Ok(value) if route.body == Body::Form => Reply { content_type: "text/plain", ..Reply::success(&value) },
            Ok(value) => match self.file.take() {
                Some((file, format)) => Reply::of_file(file, format),
                None => Reply::success(&value),
            },
            Err(refusal) => {
                self.errors = self.errors.wrapping_add(1);
                Reply::refused(refusal, self.errors)
            }
        }
    }

    fn answer(
        &mut self,
        route: &Route,
        now: Timestamp,
        request: &Request,
        loss: Option<Loss>,
    ) -> Result<Value, Refusal> {
        self.caller = match route.open {
            true => String::new(),
            false => self.tokens.check(request.parameter("access_token"), now)?.to_owned(),
        };
        if request.method != route.method() {
            return Err(if route.body == Body::None { REQUIRE_GET } else { REQUIRE_POST }.into());
        }
        let body = match route.body {
            Body::None => Value::Null,
            Body::Optional if request.body.is_empty() => Value::Null,
            Body::Optional | Body::Json => request.json()?,
            Body::Form => Value::Null,
        };
        let form = if route.body == Body::Form { request.form()? } else { Form::default() };
        if !route.own_quota {
            self.quotas().check_day(route.path, now)?;
        }
        let value = (route.run)(self, &Context { now, request, body, form, loss })?;
        if !route.own_quota {
            self.quotas().count_day(route.path, now);
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::{Bench, json_of, to_tag, with};
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_paths_are_no_part_of_the_api() {
        let mut bench = Bench::service();
        for path in ["/", "/cgi-bin/nothing", "/cgi-bin/message/mass/send/"] {
            let reply = bench.raw("POST", path, b"{}");
            assert_eq!((reply.status, reply.content_type, reply.errcode), (404, "text/plain", 404), "{path}");
        }
    }

    #[test]
    fn every_endpoint_wants_its_method() {
        let mut bench = Bench::service();
        for route in ROUTES.iter().filter(|route| !route.open) {
            let wrong = if route.method() == "GET" { "POST" } else { "GET" };
            assert_eq!(bench.call(wrong, route.path, b"{}")["errcode"], 43002, "{}", route.path);
            let reply = bench.raw(route.method(), route.path, b"{}");
            assert_eq!(reply.errcode, 41001, "{}", route.path);
        }
    }

    #[test]
    fn bodies_are_checked_before_anything_else() {
        let mut bench = Bench::service();
        for route in ROUTES.iter().filter(|route| !route.open && route.body == Body::Json) {
            assert_eq!(bench.call("POST", route.path, b"")["errcode"], 44002, "{}", route.path);
            assert_eq!(bench.call("POST", route.path, b"{")["errcode"], 47001, "{}", route.path);
            assert_eq!(bench.call("POST", route.path, b"\xff")["errcode"], 47001, "{}", route.path);
            let escaped = br#"{"text":{"content":"\u4f60\u597d"}}"#;
            assert_eq!(bench.call("POST", route.path, escaped)["errcode"], 40033, "{}", route.path);
        }
        for route in ROUTES.iter().filter(|route| route.body == Body::Form) {
            for body in [&b""[..], b"{}", b"--B--", b"--B\r\nContent-Dis"] {
                assert_eq!(bench.call("POST", route.path, body)["errcode"], 41005, "{}", route.path);
            }
        }
    }

    #[test]
    fn headers_and_rid_are_as_in_real_replies() {
        let mut bench = Bench::service();
        let target = |bench: &mut Bench| format!("/cgi-bin/message/mass/sendall?access_token={}", bench.token());
        let with_token = target(&mut bench);
        let reply = bench.raw("POST", &with_token, to_tag().to_string().as_bytes());
        assert_eq!((reply.status, reply.content_type), (200, "application/json; encoding=utf-8"));
        let wrong = with(to_tag(), &json!({"msgtype": "wxcard"})).to_string();
        let reply = bench.raw("POST", &with_token, wrong.as_bytes());
        assert_eq!((reply.status, reply.content_type, reply.errcode), (200, "text/plain", 45113));
        let errmsg = json_of(&reply)["errmsg"].as_str().expect("a text").to_owned();
        let (_, rid) = errmsg.split_once(" rid: ").expect("a rid");
        let parts: Vec<&str> = rid.split('-').collect();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() == 8 && u32::from_str_radix(part, 16).is_ok()));
    }
}
