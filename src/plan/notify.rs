//! Whom a plan tells how its runs end. Doc comments of fields are what editors show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{account::SecretSource, value::Template};

/// A notice of how a run ended, to one address: exactly one of `wecom`, `dingtalk`, `feishu` and `webhook`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [{ "required": ["wecom"] }, { "required": ["dingtalk"] }, { "required": ["feishu"] }, { "required": ["webhook"] }],
    "x-exactly-one" = ["wecom", "dingtalk", "feishu", "webhook"],
    "examples" = [{ "wecom": { "url": { "env": "WECOM_ROBOT" } } }],
))]
pub struct Notice {
    /// Which events are told. Default: all but `succeeded`.
    #[serde(default = "On::usual")]
    #[schemars(extend("minItems" = 1, "examples" = [["failed", "unknown"]]))]
    pub(crate) on: Vec<On>,
    /// A robot of a WeCom group (企业微信群机器人).
    #[serde(default)]
    pub(crate) wecom: Option<Robot>,
    /// A custom robot of a DingTalk group (钉钉自定义机器人).
    #[serde(default)]
    pub(crate) dingtalk: Option<SignedRobot>,
    /// A custom bot of a Feishu group (飞书自定义机器人).
    #[serde(default)]
    pub(crate) feishu: Option<SignedRobot>,
    /// Any other address that takes JSON.
    #[serde(default)]
    pub(crate) webhook: Option<Webhook>,
}

impl Notice {
    /// Where all of its secrets are, and the keys that say so.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (String, &SecretSource)> {
        let signed = [("dingtalk", &self.dingtalk), ("feishu", &self.feishu)];
        let signed = signed.into_iter().filter_map(|(name, robot)| Some((name, robot.as_ref()?)));
        let signed = signed.flat_map(|(name, robot)| {
            let secret = robot.secret.as_ref().map(|secret| (format!("{name}/secret"), secret));
            std::iter::once((format!("{name}/url"), &robot.url)).chain(secret)
        });
        let wecom = self.wecom.iter().map(|robot| ("wecom/url".to_owned(), &robot.url));
        let webhook = self.webhook.iter().flat_map(|hook| {
            let headers = hook.headers.iter().enumerate();
            let headers = headers.map(|(index, header)| (format!("webhook/headers/{index}/value"), &header.value));
            std::iter::once(("webhook/url".to_owned(), &hook.url)).chain(headers)
        });
        wecom.chain(signed).chain(webhook)
    }
}

/// What a run can have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum On {
    /// The run was refused before anything was sent: by a guard, the forecast, the ledger, or a missing input.
    Refused,
    /// A step failed, or the run was interrupted.
    Failed,
    /// Nobody knows whether a message was sent.
    Unknown,
    /// Everything is done.
    Succeeded,
    /// Nothing was sent: the plan is not the approved one, or nobody was there to confirm it.
    ApprovalWanted,
}

impl On {
    pub(crate) const ALL: [On; 5] = [On::Refused, On::Failed, On::Unknown, On::Succeeded, On::ApprovalWanted];

    /// As in the plan.
    pub(crate) fn name(self) -> &'static str {
        match self {
            On::Refused => "refused",
            On::Failed => "failed",
            On::Unknown => "unknown",
            On::Succeeded => "succeeded",
            On::ApprovalWanted => "approval_wanted",
        }
    }

    /// What is told unless the plan says something else.
    pub(crate) fn usual() -> Vec<On> {
        On::ALL.into_iter().filter(|on| *on != On::Succeeded).collect()
    }
}

/// A robot whose address holds its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Robot {
    /// Where to find the robot's webhook address, which contains its key.
    pub(crate) url: SecretSource,
}

/// A robot whose address holds its key, and which may ask for a signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedRobot {
    /// Where to find the robot's webhook address, which contains its key.
    pub(crate) url: SecretSource,
    /// Where to find the secret of its signature (加签, 签名校验), if it asks for one.
    #[serde(default)]
    pub(crate) secret: Option<SecretSource>,
}

/// An address that takes JSON by POST.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    /// Where to find the address.
    pub(crate) url: SecretSource,
    /// Template of the JSON body; sees `event`, `title`, `text`, `plan`, `account`, `occurrence`, `run_id`, `platform`, `exit_code`, `calls`, `recipients`, `steps` and `report`. Default: all of them as JSON.
    #[serde(default)]
    #[schemars(extend("examples" = ["{\"msg\": {{ text | tojson }}}"]))]
    pub(crate) body: Option<Template>,
    /// Headers of the request, such as Authorization.
    #[serde(default)]
    #[schemars(extend("maxItems" = 20))]
    pub(crate) headers: Vec<Header>,
}

/// A header of a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    /// Its name.
    #[schemars(extend("pattern" = "^[A-Za-z][A-Za-z0-9-]{0,63}$", "x-form" = "letters, digits and `-`", "examples" = ["Authorization"]))]
    pub(crate) name: String,
    /// Where to find its value.
    pub(crate) value: SecretSource,
}

/// What a notice tells, as templates see it and as a webhook gets it by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Facts {
    /// See [`On`].
    pub(crate) event: &'static str,
    /// One line.
    pub(crate) title: String,
    /// All of it in words, in lines.
    pub(crate) text: String,
    pub(crate) plan: String,
    pub(crate) account: AccountFacts,
    pub(crate) occurrence: String,
    pub(crate) run_id: String,
    /// `wechat`, `loopback` or `sandbox`.
    pub(crate) platform: String,
    pub(crate) exit_code: u8,
    /// Mass calls of this run that WeChat accepted.
    pub(crate) calls: u64,
    /// Whom they went to, as far as that is known.
    pub(crate) recipients: u64,
    /// What went wrong, step by step.
    pub(crate) steps: Vec<StepFacts>,
    /// The command that prints the report; empty if no report was recorded.
    pub(crate) report: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct AccountFacts {
    pub(crate) appid: String,
    /// Empty if it has none.
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StepFacts {
    /// Empty for the run as a whole.
    pub(crate) step: String,
    pub(crate) message: String,
    pub(crate) help: Vec<String>,
    pub(crate) errcode: Option<i64>,
}

impl Facts {
    /// What a template is tried with before there is a run: text as awkward as text can be.
    pub(crate) fn sample() -> Value {
        let words = "\"\\\n";
        json!(Facts {
            event: On::Failed.name(),
            title: words.into(),
            text: words.into(),
            plan: "plan".into(),
            account: AccountFacts { appid: "wx0123456789abcdef".into(), name: words.into() },
            occurrence: words.into(),
            run_id: "id".into(),
            platform: "wechat".into(),
            exit_code: 5,
            calls: 1,
            recipients: 1,
            steps: vec![StepFacts {
                step: words.into(),
                message: words.into(),
                help: vec![words.into()],
                errcode: Some(1)
            }],
            report: words.into(),
        })
    }
}
