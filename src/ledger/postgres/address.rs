//! `postgresql://...`, read by ourselves: what libpq knows and this program does not is refused and not ignored.

use std::{net::IpAddr, path::PathBuf};

use crate::{
    locale::{Phrase, say},
    redact::Secret,
};

/// Where a store in PostgreSQL is, and how it is reached.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) hosts: Vec<Host>,
    pub(super) user: String,
    pub(super) database: String,
    /// The schema that holds the tables.
    pub(super) schema: String,
    /// As the address has it; there are better places.
    pub(super) password: Option<Secret>,
    pub(super) tls: Tls,
    /// What is taken in another way than it was written.
    pub(super) note: Option<Phrase>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Tcp(String, u16),
    /// The folder of a socket of this machine, and the port in its name.
    Unix(PathBuf, u16),
}

/// How the server proves that it is the one that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// By a certificate for its name, signed by a public authority or by one in a file.
    VerifyFull { roots: Option<PathBuf> },
    /// Not at all: the connection does not leave this machine.
    Disabled,
}

/// The schema where none is named.
const SCHEMA: &str = "qunfa";
const PORT: u16 = 5432;
/// What stands behind the `?` of an address.
const PARAMETERS: &str = "sslmode, sslrootcert, schema, host, port, user, dbname, password";

impl Address {
    /// Reads an address; an error holds nothing of its password.
    pub(super) fn parse(text: &str) -> Result<Self, Phrase> {
        let rest = ["postgresql://", "postgres://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or_else(|| say!("it does not start with postgresql://"))?;
        if text.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(say!("it contains whitespace or a control character"));
        }
        if rest.contains('#') {
            return Err(say!("it contains a `#`; write `%23`"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') || path.contains('/') {
            return Err(say!("a `/`, `@` or `:` in the user or the password must be written as `%2F`, `%40` or `%3A`"));
        }
        let (user, hosts) = authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts));
        let mut wanted = Wanted { database: part(path)?, ..Wanted::default() };
        if let Some(user) = user {
            let (user, password) = user.split_once(':').map_or((user, None), |(user, word)| (user, Some(word)));
            if user.contains('@') || password.is_some_and(|word| word.contains(['@', ':'])) {
                return Err(say!(
                    "a `/`, `@` or `:` in the user or the password must be written as `%2F`, `%40` or `%3A`"
                ));
            }
            wanted.user = part(user)?;
            wanted.password = password.map(part).transpose()?;
        }
        wanted.hosts = hosts.split(',').filter(|host| !host.is_empty()).map(host_of).collect::<Result<_, _>>()?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| say!("a parameter without `=`"))?;
            wanted.set(&part(name)?, part(value)?)?;
        }
        wanted.address()
    }

    /// As messages name it.
    pub(super) fn name(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(Host::name).collect();
        let schema = if self.schema == SCHEMA { String::new() } else { format!("?schema={}", self.schema) };
        format!("postgresql://{}@{}/{}{schema}", self.user, hosts.join(","), self.database)
    }
}

impl Host {
    fn name(&self) -> String {
        match self {
            Self::Tcp(host, PORT) if host.contains(':') => format!("[{host}]"),
            Self::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp(host, PORT) => host.clone(),
            Self::Tcp(host, port) => format!("{host}:{port}"),
            Self::Unix(folder, _) => folder.display().to_string(),
        }
    }

    /// Whether what is said to it does not leave this machine.
    fn is_here(&self) -> bool {
        match self {
            Self::Unix(..) => true,
            Self::Tcp(host, _) => host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        }
    }
}

/// What an address says, in the order in which it says it.
#[derive(Default)]
struct Wanted {
    hosts: Vec<(String, Option<u16>)>,
    port: Option<u16>,
    user: String,
    password: Option<String>,
    database: String,
    schema: Option<String>,
    mode: Option<String>,
    roots: Option<String>,
}

impl Wanted {
    fn set(&mut self, name: &str, value: String) -> Result<(), Phrase> {
        match name {
            "sslmode" => self.mode = Some(value),
            "sslrootcert" => self.roots = Some(value),
            "schema" => self.schema = Some(value),
            "host" => self.hosts = value.split(',').map(host_of).collect::<Result<_, _>>()?,
            "port" => self.port = Some(port(&value)?),
            "user" => self.user = value,
            "password" => self.password = Some(value),
            "dbname" => self.database = value,
            _ => {
                return Err(say!(
                    "`{name}` is not a parameter that it knows; known: {known}",
                    name = name.escape_debug().to_string(),
                    known = PARAMETERS
                ));
            }
        }
        Ok(())
    }

    fn address(self) -> Result<Address, Phrase> {
        if self.hosts.is_empty() {
            return Err(say!("it has no host"));
        }
        if self.user.is_empty() {
            return Err(say!("it has no user; write postgresql://USER@HOST/DATABASE"));
        }
        let schema = self.schema.unwrap_or_else(|| SCHEMA.to_owned());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !schema.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            || !schema.chars().all(plain)
            || schema.len() > 63
            || schema.starts_with("pg_")
        {
            return Err(say!("a schema has lower-case letters, digits and `_`, and does not start with `pg_`"));
        }
        let hosts: Vec<Host> = self.hosts.into_iter().map(|(host, own)| located(host, own.or(self.port))).collect();
        let here = hosts.iter().all(Host::is_here);
        let roots = self.roots.filter(|path| path != "system").map(PathBuf::from);
        let (tls, note) = match self.mode.as_deref() {
            Some("disable") if here => (Tls::Disabled, None),
            Some("disable") => {
                return Err(say!("sslmode=disable is allowed only for this machine; leave it out"));
            }
            None if hosts.iter().all(|host| matches!(host, Host::Unix(..))) => (Tls::Disabled, None),
            None | Some("verify-full") => (Tls::VerifyFull { roots }, None),
            Some(mode @ ("require" | "verify-ca")) => {
                let note =
                    say!("sslmode={mode} is read as verify-full: the certificate and its name are checked", mode);
                (Tls::VerifyFull { roots }, Some(note))
            }
            Some(mode) => {
                let mode = mode.escape_debug().to_string();
                return Err(say!("sslmode={mode} is not safe; write sslmode=verify-full or leave it out", mode));
            }
        };
        let database = if self.database.is_empty() { self.user.clone() } else { self.database };
        let password = self.password.filter(|word| !word.is_empty()).map(Secret::new);
        Ok(Address { hosts, user: self.user, database, schema, password, tls, note })
    }
}

fn located(host: String, port: Option<u16>) -> Host {
    let port = port.unwrap_or(PORT);
    if host.starts_with('/') { Host::Unix(host.into(), port) } else { Host::Tcp(host, port) }
}

/// `HOST`, `HOST:PORT`, `[IPV6]:PORT` or an encoded path.
fn host_of(text: &str) -> Result<(String, Option<u16>), Phrase> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| say!("its host is not valid"))?;
        host.parse::<IpAddr>().map_err(|_| say!("its host is not valid"))?;
        return Ok((host.to_owned(), rest.strip_prefix(':').map(port).transpose()?));
    }
    let (host, number) = match text.rsplit_once(':') {
        Some((host, number)) if !host.contains(':') => (host, Some(port(number)?)),
        Some(_) => return Err(say!("an IPv6 address stands in brackets: [::1]:5432")),
        None => (text, None),
    };
    let host = part(host)?;
    if host.is_empty() {
        return Err(say!("its host is not valid"));
    }
    Ok((host, number))
}

fn port(text: &str) -> Result<u16, Phrase> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| say!("its port is not a number from 1 to 65535"))
}

/// A part of an address with its `%XX` decoded.
fn part(text: &str) -> Result<String, Phrase> {
    let decoded =
        decoded(text).ok_or_else(|| say!("`%` must be followed by two hexadecimal digits (a plain `%` is `%25`)"))?;
    if decoded.contains(char::is_control) {
        return Err(say!("it contains whitespace or a control character"));
    }
    Ok(decoded)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locale::tests::{BOTH, speaking};

    fn told(text: &str) -> String {
        match Address::parse(text) {
            Ok(address) => {
                format!("{} {:?} {:?}", address.name(), address.tls, address.note.map(|note| note.to_string()))
            }
            Err(why) => format!("error: {why}"),
        }
    }

    #[test]
    fn addresses() {
        let all = [
            "postgresql://u@db.example.com/qunfa",
            "postgres://u@db.example.com",
            "postgresql://u:p%40ss@db:6000/d?schema=agency",
            "postgresql://u@a,b:6000/d",
            "postgresql://u@[::1]:5433/d?sslmode=disable",
            "postgresql://u@localhost/d?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql://u@/d?host=/run/postgresql",
            "postgresql://u@%2Frun%2Fpostgresql/d",
            "postgresql://u@db/d?sslmode=require",
            "postgresql://u@db/d?sslmode=disable",
            "postgresql://u@db/d?sslmode=prefer",
            "postgresql://u@db/d?sslmode=",
            "postgresql://u@db/d?options=-c%20x",
            "postgresql://u@db/d?schema=pg_catalog",
            "postgresql://u@db/d?schema=A",
            "postgresql://db/d",
            "postgresql://u@/d",
            "postgresql://u@db:0/d",
            "postgresql://u@db:x/d",
            "postgresql://u@::1/d",
            "postgresql://u:p@ss@db/d",
            "postgresql://u:a/b@db/d",
            "postgresql://u:a#b@db/d",
            "postgresql://u:100%@db/d",
            "postgresql://u@db/d?sslmode",
            "postgresql:u@db",
            "postgresql://u@d b/d",
        ];
        for (language, suffix) in BOTH {
            let lines =
                || all.into_iter().map(|text| format!("{text}\n  {}", told(text))).collect::<Vec<_>>().join("\n");
            insta::assert_snapshot!(format!("addresses{suffix}"), speaking(language, lines));
        }
    }
}
