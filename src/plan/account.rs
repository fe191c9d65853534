//! The account of a plan, and where its secrets are. Doc comments of fields are what editors show.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};

use super::yaml::Document;
use crate::{
    diag::{Code, Diagnostic, Diagnostics},
    locale::say,
};

/// The account of a plan.
#[derive(Debug, Clone)]
pub enum AccountField {
    /// Written in the plan.
    Inline(Box<Account>),
    /// In a file of its own, relative to the plan.
    File(String),
}

impl<'de> Deserialize<'de> for AccountField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(path) => Ok(AccountField::File(path)),
            value => serde_json::from_value(value).map(AccountField::Inline).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for AccountField {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "AccountField".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // One flat schema for both forms: keywords for mappings say nothing of a string.
        let mut schema = Account::json_schema(generator);
        schema.insert("type".into(), json!(["object", "string"]));
        schema.insert("minLength".into(), 1.into());
        schema
    }
}

/// An Official Account and how to get its token. Set exactly one of `access_token`, `secret` and `component`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Account type, `service` (服务号) or `subscription` (订阅号). Determines quotas and allowed actions.
    pub kind: AccountKind,
    /// The AppID, or { env: NAME }.
    pub appid: AppId,
    /// Where to find a token that another system maintains, such as { command: [...] } of a token server. The AppSecret then stays there.
    #[serde(default)]
    pub access_token: Option<SecretSource>,
    /// Where to find the AppSecret (never the secret itself).
    #[serde(default)]
    pub secret: Option<SecretSource>,
    /// Token endpoint: `stable` (`/cgi-bin/stable_token`, does not affect other programs) or `classic`.
    #[serde(default)]
    pub token: TokenEndpoint,
    /// How to treat external links in articles, which WeChat does not open: as footnotes, unchanged (for accounts that may use them), or as errors.
    #[serde(default)]
    pub links: LinkPolicy,
    /// Alternative to `secret`: the third-party platform (第三方平台) that the account has authorised.
    #[serde(default)]
    pub component: Option<Component>,
    /// Proxy for the calls of this account, instead of the one that HTTPS_PROXY names. A URL with a password: { env: NAME }, { file: PATH } or { command: [...] }.
    #[serde(default)]
    pub proxy: Option<ProxySource>,
    /// How WeChat signs and encrypts what it pushes to the account's callback URL, for `qunfa listen` and `qunfa event`.
    #[serde(default)]
    pub callback: Option<Callback>,
    /// Name of the account, for templates: `account.name`.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", "x-form" = "at most 63 letters, digits, `.`, `_` and `-`, starting with a letter or digit", "examples" = ["beijing"]))]
    pub name: Option<String>,
    /// Labels of the account, for templates: `account.labels`.
    #[serde(default)]
    #[schemars(extend("items" = { "type": "string", "pattern": "^[^\\s,;]{1,63}$", "x-form": "at most 63 characters without blanks, commas and semicolons" }, "examples" = [["north", "vip"]]))]
    pub labels: Vec<String>,
}

impl Account {
    /// Where all of its secrets are, and the keys that say so.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&'static str, &SecretSource)> {
        let proxy = self.proxy.as_ref().and_then(|proxy| match proxy {
            ProxySource::Url(_) => None,
            ProxySource::Secret(source) => Some(source),
        });
        let own = [("access_token", self.access_token.as_ref()), ("secret", self.secret.as_ref()), ("proxy", proxy)];
        let own = own.into_iter().filter_map(|(key, source)| Some((key, source?)));
        let of_callback = self.callback.iter().flat_map(Callback::sources);
        own.chain(self.component.iter().flat_map(Component::sources)).chain(of_callback)
    }
}

/// How WeChat's pushes are signed and encrypted, as the console says (消息与事件推送).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    /// Where to find the Token (令牌) that signs pushes.
    pub token: SecretSource,
    /// Where to find the EncodingAESKey (消息加解密密钥, 43 characters). With it, only encrypted pushes are accepted: leave it out in plain mode (明文模式).
    #[serde(default)]
    pub aes_key: Option<SecretSource>,
    /// Where to find the Token used before, which is still accepted.
    #[serde(default)]
    pub previous_token: Option<SecretSource>,
    /// Where to find the EncodingAESKey used before, which is tried second.
    #[serde(default)]
    pub previous_aes_key: Option<SecretSource>,
}

impl Callback {
    /// Its secrets, by their keys in the account.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&'static str, &SecretSource)> {
        let all = [
            ("callback/token", Some(&self.token)),
            ("callback/aes_key", self.aes_key.as_ref()),
            ("callback/previous_token", self.previous_token.as_ref()),
            ("callback/previous_aes_key", self.previous_aes_key.as_ref()),
        ];
        all.into_iter().filter_map(|(key, source)| Some((key, source?)))
    }
}

/// A third-party platform that the account has authorised. Its token and the account's are fetched, cached and renewed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The platform's AppID (component_appid), or { env: NAME }.
    pub appid: AppId,
    /// Where to find the platform's AppSecret.
    pub secret: SecretSource,
    /// Where to find the latest component_verify_ticket, which WeChat pushes to the platform every 10 minutes.
    pub ticket: SecretSource,
    /// Where to find the account's authorizer_refresh_token.
    pub refresh_token: SecretSource,
}

impl Component {
    /// Its secrets, by their keys in the account.
    pub(crate) fn sources(&self) -> [(&'static str, &SecretSource); 3] {
        [
            ("component/secret", &self.secret),
            ("component/ticket", &self.ticket),
            ("component/refresh_token", &self.refresh_token),
        ]
    }
}

/// The address of a proxy; with a password in it, where it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxySource {
    Url(String),
    Secret(SecretSource),
}

impl<'de> Deserialize<'de> for ProxySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(url) => Ok(ProxySource::Url(url)),
            value => serde_json::from_value(value).map(ProxySource::Secret).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for ProxySource {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ProxySource".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = SecretSource::json_schema(generator);
        schema.insert("type".into(), json!(["string", "object"]));
        schema.insert("pattern".into(), json!("^(https?|socks5h)://[^/@:\\s]+:[0-9]{1,5}/?$"));
        let form = "http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT; with a password, { env: NAME }";
        schema.insert("x-form".into(), json!(form));
        schema.insert("examples".into(), json!(["http://proxy.example.com:3128", { "env": "WECHAT_PROXY" }]));
        schema
    }
}

/// The kind of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum AccountKind {
    /// 服务号
    Service,
    /// 订阅号
    Subscription,
}

impl AccountKind {
    /// As in the plan.
    pub fn name(self) -> &'static str {
        match self {
            AccountKind::Service => "service",
            AccountKind::Subscription => "subscription",
        }
    }
}

/// What becomes of external links in articles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum LinkPolicy {
    /// Link text and a number; URLs listed at the end.
    #[default]
    Footnote,
    /// Unchanged.
    Keep,
    /// Error.
    Error,
}

/// Which endpoint gives the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum TokenEndpoint {
    /// `POST /cgi-bin/stable_token`
    #[default]
    Stable,
    /// `GET /cgi-bin/token`
    Classic,
}

/// An AppID, or the environment variable that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppId {
    /// Written out.
    Literal(String),
    /// Name of the variable.
    Env(String),
}

impl AppId {
    /// `wx` and 16 hexadecimal digits.
    pub fn is_well_formed(text: &str) -> bool {
        text.len() == 18
            && text.starts_with("wx")
            && text[2..].bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromEnv {
    env: String,
}

impl<'de> Deserialize<'de> for AppId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(AppId::Literal(text)),
            value => serde_json::from_value(value).map(|FromEnv { env }| AppId::Env(env)).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for AppId {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "AppId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "object"],
            "pattern": "^wx[0-9a-f]{16}$",
            "x-form": "`wx` and 16 lower-case hexadecimal digits, or { env: NAME }",
            "properties": { "env": { "type": "string", "minLength": 1, "description": "Name of the environment variable." } },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
            "examples": ["wx0123456789abcdef", { "env": "WECHAT_APPID" }],
        })
    }
}

/// Source of a secret: exactly one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1, "examples" = [{ "env": "WECHAT_SECRET" }, { "file": "/run/secrets/wechat" }, { "command": ["vault", "kv", "get", "-field=secret", "wechat"] }]))]
pub struct SecretSource {
    /// Environment variable with the secret.
    #[serde(default)]
    #[schemars(extend("pattern" = "^[A-Za-z_][A-Za-z0-9_]*$", "x-form" = "the name of an environment variable"))]
    pub(crate) env: Option<String>,
    /// File with the secret; may be outside the project.
    #[serde(default)]
    #[schemars(extend("minLength" = 1))]
    pub(crate) file: Option<String>,
    /// Program and arguments that print the secret; runs without a shell.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub(crate) command: Option<Vec<String>>,
}

/// Each form of the token's origin, exactly one of which an account has.
const FORMS: [&str; 3] = ["access_token", "secret", "component"];

/// A run needs exactly one of the forms; `whole` if no key of the account is unknown, and might have been meant as one.
pub(super) fn check_credential(document: &Document, pointer: &str, whole: bool, diagnostics: &mut Diagnostics) {
    let Some(Value::Object(account)) = document.value.pointer(pointer) else { return };
    let mut given = account.keys().filter(|key| FORMS.contains(&key.as_str()));
    let help = say!("use one of them, for example `secret: {{ env: WECHAT_SECRET }}`");
    let place = |key: &str| document.key_span(&format!("{pointer}/{key}"));
    let Some(first) = given.next() else {
        if whole {
            let place = if pointer.is_empty() { document.span("") } else { document.key_span(pointer) };
            let message = say!("the account has none of `access_token`, `secret` and `component`");
            diagnostics.push(Diagnostic::new(Code::NoCredential, place, message).help(help));
        }
        return;
    };
    for second in given {
        let message = say!("the account has both `{first}` and `{second}`", first, second);
        let diagnostic = Diagnostic::new(Code::NoCredential, place(second), message);
        diagnostics.push(diagnostic.related(place(first), say!("first here")).help(help.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appids() {
        assert!(AppId::is_well_formed("wx0123456789abcdef"));
        assert!(!AppId::is_well_formed("wx0123456789ABCDEF") && !AppId::is_well_formed("wx123"));
    }
}
